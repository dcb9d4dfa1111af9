# Everything a person types. `make help` lists it; each target sets up what it needs.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup chaos test lint up clean bench

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
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --require-hashes -r requirements/lock.txt
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@
