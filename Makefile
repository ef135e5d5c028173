# Every target sets up what it needs on a machine that has only Python 3.11 or later. Nothing need be running.

PYTHON ?= python3
BIN = .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# Hundreds of processes begin in a test run, and without kept bytecode each would compile the project anew.
export PYTHONDONTWRITEBYTECODE =

N ?= 100
SEED ?= 1
DATABASE ?= postgresql
JOBS ?= 2

.PHONY: help demo test check bench interests trade simulation chaos recovery mutations lock clean

help:
	@echo "make demo    invented people, deals, Interests and orders travel between sandbox systems, on this machine alone"
	@echo "make test    everything that is checked before a change lands"
	@echo "make bench   the figures of docs/figures.md, measured anew"
	@echo "make interests N=10000  so many 1C Interests move through five stages each on 60 points a minute"
	@echo "make trade N=1000  so many counterparties, half as many orders, twice as many events between 1C and amoCRM, under kills"
	@echo "make chaos   N=1000 SEED=1 DATABASE=postgresql|sqlite: seeded faults on real processes, and a judge (docs/certificate.md)"
	@echo "make simulation  20,000 seeded schedules of the engine alone, in minutes"
	@echo "make recovery  N=100 deaths of workers alone: how soon the others go on with what the dead held"
	@echo "make mutations  the same with one mechanism taken away at a time: each must be noticed"
	@echo "make lock    resolve the dependencies again (needs uv)"

demo: .venv/installed
	@$(BIN)/parom demo

test: .venv/installed-dev
	@$(MAKE) --no-print-directory check
	@$(BIN)/pytest -n 5 --dist load --maxschedchunk 1

check: .venv/installed-dev
	@$(BIN)/ruff format --check --quiet . && $(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache | tail -n 1

bench: .venv/installed-dev
	@$(BIN)/python -m tests.bench

interests: .venv/installed-dev
	@$(BIN)/python -m tests.bench.interests $(N)

trade: .venv/installed-dev
	@$(BIN)/python -W ignore -m tests.bench.trade $(N)

simulation: .venv/installed-dev
	@$(BIN)/python -W ignore -m tests.chaos.simulation 1 20

CHAOS = $(BIN)/python -W ignore -m tests.chaos --seed $(SEED) --database $(DATABASE) --jobs $(JOBS) --certificate docs/certificate.md

chaos: .venv/installed-dev
	@$(CHAOS) --faults $(N)

recovery: .venv/installed-dev
	@$(CHAOS) --faults $(N) --only-deaths --jobs 1

mutations: .venv/installed-dev
	@$(CHAOS) --without each

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Parom needs Python 3.11 or later: make PYTHON=python3.12 ...")'
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "the venv module is missing: on Debian, apt-get install python3-venv"; exit 1; }

.venv/installed: .venv/bin/python requirements.lock pyproject.toml
	@echo "installing into .venv"
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

.venv/installed-dev: .venv/bin/python requirements-dev.lock pyproject.toml
	@echo "installing into .venv"
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@ .venv/installed

LOCK = uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet

lock:
	$(LOCK) --extra flower --extra postgres --extra quickstart --output-file requirements.lock
	$(LOCK) --all-extras --output-file requirements-dev.lock

clean:
	rm -rf .venv var build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
