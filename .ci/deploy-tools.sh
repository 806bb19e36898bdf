#!/usr/bin/env bash
# Installs what the tests of the deployment files run: .venv-deploy with the checkers from the Python
# index, promtool and prometheus from the system's packages, TypeScript and Grafana's types from npm.
# What cannot be had is named here, and the tests that need it are skipped by that name.
set -uo pipefail
cd "$(dirname "$0")/.."
exec </dev/null

venv=.venv-deploy
python=${PYTHON:-python3}
missing=()

if ! cmp -s tests/deploy/tools.txt "$venv/tools.txt"; then
    { "$python" -m venv "$venv" &&
        "$venv/bin/python" -m pip install -qq --disable-pip-version-check -r tests/deploy/tools.txt &&
        cp tests/deploy/tools.txt "$venv/tools.txt"; } || missing+=("the checkers of tests/deploy/tools.txt")
fi

if ! command -v promtool >/dev/null; then
    as_root=()
    if ((EUID != 0)); then as_root=(sudo -n); fi
    { "${as_root[@]}" apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends prometheus; } \
        >/dev/null 2>&1 || missing+=("promtool")
fi

types=$venv/types
if [ ! -x "$types/node_modules/.bin/tsc" ]; then
    mkdir -p "$types" && cp tests/deploy/package.json "$types/" &&
        npm --prefix "$types" install --silent --no-audit --no-fund --no-package-lock >/dev/null 2>&1 ||
        missing+=("tsc and @grafana/schema")
fi

if ((${#missing[@]})); then printf 'deploy-tools: could not install %s\n' "${missing[@]}" >&2; fi
