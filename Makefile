# Every target that people and CI call. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := dli jobs sql storage
SF ?= 0.1
# A service imports a thousand modules: compiled once, it starts with half the work.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo up check format lock test test-slow test-trials \
	cluster-up cluster-down test-cluster image bench clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

$(BIN)/uv: requirements-boot.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-boot.lock
	@touch $@

$(VENV)/.runtime: requirements.lock pyproject.toml | $(BIN)/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	$(BIN)/python -m compileall -q $(PACKAGES)
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime | $(BIN)/uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@touch $@

setup: $(VENV)/.dev ## Install everything, for users and developers, into .venv

demo: $(VENV)/.runtime ## The main job on TPC-H: price, run, result, bill (SF=1 for more)
	@$(BIN)/python -m benchmarks.demo --scale $(SF)

up: $(VENV)/.runtime ## Start the service on this machine
	$(BIN)/dli up --allow-path $(CURDIR)/.cache

check: $(VENV)/.dev ## Format, lint, types, layers, fresh locks
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	@$(MAKE) --no-print-directory check-lock

check-lock: $(VENV)/.dev
	@for pair in demo:requirements.lock dev:requirements-dev.lock; do \
	  extra=$${pair%%:*}; file=$${pair##*:}; cp $$file $(VENV)/lock.txt; \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	    --extra $$extra pyproject.toml -o $(VENV)/lock.txt && cmp $$file $(VENV)/lock.txt \
	    || { echo "$$file does not match pyproject.toml: run make lock"; exit 1; }; done

format: $(VENV)/.dev ## Format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(BIN)/uv ## Resolve pyproject.toml into the lock files
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra demo pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --extra dev pyproject.toml -o requirements-dev.lock

test: $(VENV)/.dev ## All tests but the slow ones, against real databases, stores and engines
	@$(BIN)/python -m tests.support.install
	$(BIN)/pytest -n 2 --dist loadgroup -m "not slow and not cluster"

test-slow: $(VENV)/.dev ## The tests that take minutes
	@$(BIN)/python -m tests.support.install
	$(BIN)/pytest -n 2 --dist loadgroup -m "slow and not cluster"

test-trials: $(VENV)/.dev ## Kill the service, wardens and runs at random, 500 times each (an hour)
	DLI_TRIALS=500 DLI_LAUNCHER_TRIALS=500 $(BIN)/pytest --timeout 36000 tests/e2e/test_trials.py tests/contract/test_launcher_trials.py

cluster-up: $(VENV)/.dev ## Start a real Kubernetes on this machine (root), with the image in it
	@$(BIN)/python -m tests.support.cluster up

cluster-down: $(VENV)/.dev ## End it, and all that it left; keeps what was built
	@$(BIN)/python -m tests.support.cluster down

test-cluster: $(VENV)/.dev ## The tests that need a cluster: ours, or that of DLI_TEST_KUBECONFIG
	$(BIN)/pytest -m cluster tests/cluster

image: ## Build the container image without Docker (image/Dockerfile: with it)
	image/build

bench: $(VENV)/.dev ## Measure, beside baselines in the same run (docs/benchmarks.md)
	$(BIN)/python -m benchmarks

clean: ## Remove what was installed and cached here
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
