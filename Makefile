# Kurswerk. `make` or `make help` lists what there is.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup demo check test soak bench screenshots docs lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## create .venv with Kurswerk and its pinned dependencies

$(READY): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Kurswerk needs Python 3.11 or newer, found " + sys.version.split()[0] + "; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[dev,bench]'
	@touch $@

demo: $(READY) ## simulate a market, train, test, compare, certify, write a report, and predict live
	$(BIN)/kurswerk demo

check: $(READY) ## formatting, lint, types, layers, sizes, vocabulary, security
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/size_gate.py
	$(BIN)/python tools/vocabulary.py
	$(BIN)/bandit --quiet --recursive src benchmarks

test: $(READY) ## all tests, with branch coverage of at least 90 %
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m 'not slow' --cov --cov-report=term:skip-covered --cov-fail-under=90

soak: $(READY) ## the long versions of the tests
	tools/install_n8n.sh || echo "The tests of the n8n workflows skip." >&2
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

bench: $(READY) ## every benchmark beside its peer
	$(BIN)/python -m benchmarks all

screenshots: $(READY) ## take the pictures of the dashboard that docs/ shows
	$(BIN)/python tools/screenshots.py

docs: $(READY) ## build the documentation into site/
	$(BIN)/mkdocs build --strict

lock: ## write requirements.lock from what the ranges resolve to today
	$(PYTHON) tools/lock.py

clean: ## remove what was built here (not the data directory)
	rm -rf $(VENV) build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
