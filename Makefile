# Everything a person types. `make help` lists it; each target sets up what it needs.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup chaos prove test test-integration lint up clean bench lock

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
ARGS   ?=

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## install everything into .venv

$(READY): requirements/bootstrap.txt requirements/lock.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "chaos-lab: needs Python 3.11 or newer, but '$(PYTHON)' is not. Say which: make PYTHON=python3.12 ..." >&2; exit 2; }
	@echo "· virtual environment in $(VENV)"
	@$(PYTHON) -m venv --clear $(VENV) || { \
	  echo "chaos-lab: '$(PYTHON) -m venv' failed. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 2; }
	@echo "· installer, then the pinned and hashed packages"
	@$(BIN)/python -m pip --quiet --disable-pip-version-check install --require-hashes -r requirements/bootstrap.txt
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --compile-bytecode --require-hashes -r requirements/lock.txt
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

chaos: $(READY)  ## break the platform in every way known, and judge it; ARGS="PG-01 --workers 1"
	@echo "· running the scenarios"
	@$(BIN)/chaos-lab run $(ARGS)

prove: $(READY)  ## every scenario without its safeguards: each must be refuted; ARGS="CON-*"
	@echo "· running the scenarios without their safeguards"
	@$(BIN)/chaos-lab prove $(ARGS)

test: $(READY)  ## all tests, in parallel and in random order; ARGS="-k breaker"
	@echo "· running the tests"
	@$(BIN)/pytest -n auto $(ARGS)

test-integration: $(READY)  ## the layer-4 tests on three platforms of their own, or on the one that API_GATEWAY_URL names
	@$(BIN)/pytest tests/integration -n 3 --dist worksteal $(ARGS)

lint: $(READY)  ## style, types, layers, docstrings, branches of the safeguards
	@echo "· style"
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --quiet --check .
	@echo "· types"
	@$(BIN)/mypy
	@echo "· layers"
	@$(BIN)/lint-imports --no-logo
	@echo "· every test has its sentence"
	@$(BIN)/interrogate --quiet tests
	@echo "· every branch of the safeguards is tested"
	@$(BIN)/coverage run --branch --source=services.resilience -m pytest -qq tests/unit/services/resilience
	@$(BIN)/coverage report --fail-under=100 --show-missing --skip-covered

up: $(READY)  ## run one platform on its default ports, until Ctrl-C
	@$(BIN)/chaos-lab up

bench: $(READY)  ## measure; ONLY=lab for one
	@echo "· measuring$(if $(ONLY), $(ONLY))"
	@$(BIN)/python -m bench $(ONLY)

lock: $(READY)  ## pin every package anew, with hashes, after a change of pyproject.toml
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip compile --quiet --all-extras --group dev --generate-hashes --no-header \
	  --no-annotate --universal --python-version 3.11 pyproject.toml -o requirements/lock.txt

clean:  ## remove what was built here: .venv, results, caches
	@rm -rf $(VENV) results build dist .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
