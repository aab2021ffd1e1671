.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
# The last release; where there is none, the commit before.
SINCE ?= $(shell git describe --tags --abbrev=0 2>/dev/null || git rev-parse -q --verify HEAD^ || echo HEAD)
READY := .venv/.ready
# Each process that a test starts would compile everything.
unexport PYTHONDONTWRITEBYTECODE
LOCKED := --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

.PHONY: help setup demo trips up test thorough model release-drill matrix journeys bench performance costs bounds retention grants histories contracts check fmt lock sbom image clean folds golden console-tests console-size fuzz slow-clients

help: ## say what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv from requirements.lock (nothing to do when it is up to date)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 …")'
	@echo "· a virtual environment in .venv"
	@$(PYTHON) -m venv .venv
	@echo "· the packages of requirements.lock (the first time about 250 MB)"
	@$(BIN)/python -m pip --disable-pip-version-check install --require-hashes -r requirements.lock
	@echo "· handrail itself"
	@$(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: setup ## start everything, drive checkouts, prove the invariants, stop everything
	@$(BIN)/handrail demo

trips: setup ## run the second business, examples/trips: book trips, prove the invariants
	@cd examples/trips && ../../$(BIN)/handrail demo

up: setup ## start everything and keep it up until Ctrl-C
	@$(BIN)/handrail up

test: setup ## run every test that needs no Docker, but for the long ones
	@$(BIN)/python -m pytest -n 3 --dist loadfile -m "not journey and not matrix and not thorough and not image and not browser and not fuzz"

thorough: setup ## run the tests that need many inputs, sizes or servers, and those of the trips (ten minutes on two cores)
	@$(BIN)/python -m pytest -n 3 --dist loadfile --many-inputs -m "(thorough or property) and not browser and not journey and not matrix and not fuzz"
	@cd examples/trips && ../../$(BIN)/python -m pytest -q

model: setup ## run all schedules of small sagas on the engine, with stores in memory, and take its mends out
	@$(BIN)/python -m tests.model
	@$(BIN)/python -m pytest tests/model -m matrix

release-drill: setup ## run two releases side by side under load, forth, back and forth again (ten minutes)
	@$(BIN)/python -m tests.release_drill $(DRILL)

matrix: setup ## run every failure, lost task, attempt and mistake at every step of every saga (a quarter of an hour)
	@$(BIN)/python -m pytest tests/workflows -m matrix

costs: setup ## show what is asked again and again, in pages touched, at two sizes ten times apart
	@$(BIN)/python -m tests.eventstore.costs

bounds: setup ## write docs/bounds.md: what bounds each field that comes from outside
	@$(BIN)/python -m runtime.bounds_page

retention: setup ## write docs/retention.md: how long the rows of each table are kept, and why
	@$(BIN)/python -m runtime.retention

grants: setup ## write the table of database roles and their rights into docs/database.md
	@$(BIN)/python -m runtime.grants_page

histories: setup ## record the histories of sagas that have a new shape, and of processes that have none
	@$(BIN)/python -m tests.workflows.histories
	@$(BIN)/python -m tests.workflows.process_histories

folds: setup ## write tests/projections/folds.txt: which fold each version of a read model has
	@$(BIN)/python -m tests.projections.fold_lines

golden: setup ## record what this release writes, as later releases have to read it (three minutes)
	@$(BIN)/python -m tests.golden.record

journeys: setup ## start whole processes, kill them in the middle of hundreds of orders (a quarter of an hour)
	@$(BIN)/python -m pytest -m journey

console-tests: setup ## look at every page of the console in Chromium, with axe-core (four minutes on two cores)
	@$(BIN)/python -m pytest tests/console -m browser

console-size: setup ## measure every page of the console over ten thousand sagas and over a million (an hour, 16 GB; SIZE="--sagas 100000")
	@$(BIN)/python -m tests.console_size $(SIZE)

fuzz: setup ## have Schemathesis ask every operation of the API, with all its checks (FUZZ_EXAMPLES=30; ten minutes)
	@$(BIN)/python -m pytest -m fuzz

slow-clients: setup ## measure orders alone, and beside 200 slow clients and 500 event streams (three minutes, quiet cores)
	@$(BIN)/python -m tests.slow_clients $(SLOW)

tls-demo: setup ## run the demo on a Temporal, a PostgreSQL and a RabbitMQ that demand certificates
	@$(BIN)/python -m tests.tls_demo

secrets: ## write secrets/ and .env for docker-compose.yml; what is there stays
	@$(PYTHON) docker/make_secrets.py

bench: setup ## measure everything, beside what others would use (fifty minutes on two cores)
	@$(BIN)/handrail bench all

performance: setup ## write docs/performance.md from the newest results of each benchmark
	@$(BIN)/python -m benchmarks.page

contracts: setup ## refuse changes of events that break their readers, since the last release (SINCE=commit, BREAKS="Event …")
	@$(BIN)/handrail contracts diff $(SINCE) docs/contracts --require full $(addprefix --except ,$(BREAKS))

check: setup ## format, lint, types, import contracts, tests, a demo: what CI runs
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/deptry .
	$(MAKE) contracts
	$(MAKE) test
	$(MAKE) thorough
	$(MAKE) model
	$(BIN)/handrail demo --orders 30 --json

fmt: setup ## put the code in shape
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

lock: ## resolve pyproject.toml into requirements.lock and requirements-run.lock (needs uv)
	uv pip compile $(LOCKED) --extra dev pyproject.toml -o requirements.lock
	uv pip compile $(LOCKED) --extra broker --extra console --extra lake --extra otel -c requirements.lock pyproject.toml -o requirements-run.lock

sbom: setup ## write build/handrail.cdx.json: what the image installs, as a CycloneDX bill of materials
	@mkdir -p build
	@$(BIN)/cyclonedx-py requirements requirements-run.lock --pyproject pyproject.toml --output-reproducible -o build/handrail.cdx.json

image: setup ## install the image's packages and the wheel into a new .venv, and run the shop's commands (no Docker)
	@$(BIN)/python -m pytest -m image

clean: ## remove what the others made: .venv, var, caches
	rm -rf .venv var build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
