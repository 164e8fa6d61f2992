# The front door. Needs only make and Python 3.11 or newer (with venv); everything else is
# installed into .venv from requirements.lock, each file checked against its hash.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 2
ARGS ?=
CHECKED := $(wildcard src bench tests)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup up demo test check format bench sim lock changelog clean \
	check-format check-lint check-types check-layers check-tidy

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: $(STAMP) ## make .venv and install everything pinned in requirements.lock

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is older than 3.11: install a newer Python, or name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' || { \
	  echo "$(PYTHON) has no venv module: install it (Debian: apt-get install python3-venv)" >&2; exit 1; }
	test -x $(BIN)/python -a -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	@awk '/^uv==/,!/\\$$/' requirements.lock > $(VENV)/uv.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $(VENV)/uv.lock
	$(BIN)/uv pip sync --quiet --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

up: $(STAMP) ## start database, API, workers and control tower in one process
	$(BIN)/stockbridge up $(ARGS)

demo: $(STAMP) ## simulate a distributor's day (HEADLESS=1: run to the end and print the summary)
	$(BIN)/stockbridge demo $(if $(filter 1,$(HEADLESS)),--headless) $(ARGS)

test: $(STAMP) ## run every test (ARGS="-k name" narrows it)
	$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

check: $(STAMP) ## formatting, lint, types, layers, habits (all of them, even after one fails)
	@$(MAKE) --no-print-directory --keep-going check-format check-lint check-types check-layers check-tidy

check-format: $(STAMP)
	$(BIN)/ruff format --check --quiet $(CHECKED)

check-lint: $(STAMP)
	$(BIN)/ruff check --quiet --output-format concise $(CHECKED)

check-types: $(STAMP)
	$(BIN)/python -m mypy $(CHECKED)

check-layers: $(STAMP)
	$(BIN)/lint-imports --no-cache --no-logo

check-tidy: $(STAMP)
	$(BIN)/python tests/tidy.py

format: $(STAMP) ## rewrite the sources the way check wants them
	$(BIN)/ruff format $(CHECKED)
	$(BIN)/ruff check --fix $(CHECKED)

bench: $(STAMP) ## measure the promises about speed
	$(BIN)/python -m bench $(ARGS)

sim: $(STAMP) ## simulate seeded days with faults (ARGS="--seed N" repeats one)
	$(BIN)/python -m tests.simulation $(ARGS)

lock: $(STAMP) ## resolve requirements.lock again (ARGS=--upgrade takes newer versions)
	$(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	  --all-extras --group dev --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --custom-compile-command "make lock" --output-file requirements.lock $(ARGS)

changelog: $(STAMP) ## show what CHANGELOG.d will say in the next release
	$(BIN)/towncrier build --draft

clean: ## remove .venv, caches and build output (never data)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
