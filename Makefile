# Every target sets up .venv by itself; only Python 3.11 or newer with pip is needed.
PYTHON ?= python3
PORT ?= 8000
ONCE ?=
PYTEST_ARGS ?= -n 2
CHAOS_ARGS ?=
PARTS ?=
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: help setup run test check bench chaos services services-stop lock clean

help: ## shows the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /make \1\t/'

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/python -m compileall -q bus cli engine flows schemas server stores
	@touch $(STAMP)

setup: $(STAMP) ## makes .venv and installs the project with its development tools

run: $(STAMP) ## serves with demo data on port 8000 (PORT=…, ONCE=1 ends after the table)
	$(BIN)/python -m cli.main serve --demo --port $(PORT) $(if $(ONCE),--once)

test: $(STAMP) ## runs the tests
	$(BIN)/python -m pytest $(PYTEST_ARGS)

chaos: $(STAMP) ## kills and stops things under load on real services, and counts what was lost
	$(BIN)/python -m tests.chaos $(CHAOS_ARGS)

services: $(STAMP) ## installs and starts PostgreSQL, Redis, Kafka and an S3-compatible server for the tests
	$(BIN)/python -m tests.services start

services-stop: ## stops them
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m tests.services stop; fi

check: $(STAMP) ## lint, types, import directions
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m schemas.generate --check
	$(BIN)/python -m cli.reference --check

bench: $(STAMP) ## runs the benchmarks and prints ratios (PARTS="engine webhook": those alone)
	$(BIN)/python -m bench $(PARTS)

lock: ## pins every dependency with hashes and without addresses
	$(BIN)/python -m piptools compile --quiet --generate-hashes --no-header --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --strip-extras --allow-unsafe --extra dev --extra traces --extra opensearch --output-file requirements.lock pyproject.toml

clean: services-stop ## stops the services; removes .venv, build files and the demo's data
	rm -rf .venv build data *.egg-info
