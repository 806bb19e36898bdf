# ErasureHead: `make` or `make help` lists what there is to run.
#
# Everything happens in .venv, made on first use; a second call finds it and starts at once.
# Another interpreter: make demo PYTHON=/path/to/python3.12

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# Tests at a time; more than cores, since many wait for processes.
JOBS   ?= 4
# With worksteal each begins with folders of its own, so that tests that wait and tests that compute
# run side by side; in the end each takes over from who has most left. Linear algebra has one thread
# in each: threads of more processes than cores wait for each other.

# A stamp says that .venv holds what one extra of pyproject.toml asks for, in this pyproject's form.
DEV    := $(VENV)/.erasurehead-dev
DEMO   := $(VENV)/.erasurehead-demo

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo reproduce test lint format docs bench clean
.PHONY: lock deploy-test engine-test compose-demo sbom

help:  ## list the targets
	@sed -nE 's/^([a-z-]+):.*##[ ]*(.*)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-14s %s\n", $$1, $$2}'

demo: $(DEMO)  ## train on real flights: gradient descent, and L-BFGS uncoded, coded and cached
	$(BIN)/erasurehead prepare flights --out stores/flights
	$(BIN)/erasurehead compare stores/flights --workers 12 --delay exponential:mean_s=0.5 \
	    --scheme "uncoded with gradient-descent for 25 rounds" --scheme uncoded \
	    --scheme egc:c=3 --scheme cached --evaluate-every-rounds 1 --optimum

# make reproduce AMAZON=train.csv COVERTYPE=covtype.data KC_HOUSING=kc_house_data.csv [SEEDS=3]
reproduce: $(DEMO)  ## the paper's experiments, and ours against them (some hours; can be stopped)
	$(BIN)/erasurehead reproduce $(if $(AMAZON),--amazon $(AMAZON)) \
	    $(if $(COVERTYPE),--covertype $(COVERTYPE)) $(if $(KC_HOUSING),--kc-housing $(KC_HOUSING)) \
	    --seeds $(or $(SEEDS),3) --results docs/results.md

test: $(DEV)  ## run all tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal tests

lint: $(DEV)  ## ruff (lint, format) and mypy --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(DEV)  ## rewrite the code as ruff wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(DEV)  ## write the pages that are generated from the code
	$(BIN)/erasurehead settings --markdown > docs/settings.md
	$(BIN)/python -m erasurehead_cli.pages.metrics_page > docs/metrics.md
	$(BIN)/python docs/layers/layers_picture.py
	$(BIN)/python dashboards/build.py

bench: $(DEV)  ## run the quick benchmarks on made-up data (docs/benchmarks.md has them all)
	$(BIN)/erasurehead prepare synthetic --out stores/dense --option dense=true \
	    --option rows=375 --option columns=1000 --option nnz=1000
	$(BIN)/python benchmarks/overhead.py stores/dense
	$(BIN)/python benchmarks/footprint.py stores/dense
	$(BIN)/python benchmarks/decoding_cost.py
	$(BIN)/python benchmarks/simulator.py

# Deployment: the checkers live in .venv-deploy, apart from what the project itself needs.

deploy-test: $(DEV)  ## check compose files, manifests, dashboards and images without an engine
	.ci/deploy-tools.sh
	$(BIN)/python -m pytest tests/deploy

engine-test: $(DEV)  ## build, run and break a compose deployment on a Docker engine of its own
	.ci/deploy-tools.sh
	ENGINE_TIER=1 $(BIN)/python -m pytest tests/deploy/engine

compose-demo:  ## train on flights with docker compose; Grafana at http://127.0.0.1:3000
	docker compose up --build

LOCK := .venv-deploy/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
        --generate-hashes --no-header

lock:  ## pin the images' current dependencies, with hashes
	.ci/deploy-tools.sh
	$(LOCK) pyproject.toml -o docker/locks/service.txt
	$(LOCK) pyproject.toml docker/locks/prepare.in -c docker/locks/service.txt -o docker/locks/prepare.txt
	$(LOCK) docker/locks/build.in -o docker/locks/build.txt

sbom:  ## write the images' bill of materials (CycloneDX) to build/sbom-*.json
	.ci/deploy-tools.sh
	mkdir -p build/sbom
	for lock in service prepare; do \
	    cp docker/locks/$$lock.txt build/sbom/requirements.txt; \
	    .venv-deploy/bin/trivy filesystem --quiet --offline-scan --skip-db-update --scanners license \
	        --format cyclonedx --output build/sbom-$$lock.json build/sbom; \
	done; rm -r build/sbom

clean:  ## remove .venv, caches, build output (stores/ and runs/ stay)
	rm -rf $(VENV) .venv-deploy build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find common services tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# pyvenv.cfg is written when a virtual environment is made: it stands for "there is one".
$(VENV)/pyvenv.cfg:
	@command -v $(PYTHON) >/dev/null || { \
	    echo "ErasureHead needs Python 3.11 or newer, and there is no '$(PYTHON)' here; install it or say make PYTHON=/path/to/python3" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "ErasureHead needs Python 3.11 or newer, but '$(PYTHON)' is $$($(PYTHON) -V 2>&1); say make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "'$(PYTHON)' cannot make virtual environments; install its venv package (Debian and Ubuntu: apt-get install python3-venv)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(DEMO): pyproject.toml | $(VENV)/pyvenv.cfg
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo]'
	@touch $@

# dev contains demo, so both stamps are due.
$(DEV): pyproject.toml | $(VENV)/pyvenv.cfg
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(DEMO)
