# Everything a newcomer and CI run. `make` alone lists the targets; ARGS="…" goes to the program behind a target.

SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# Tests start hundreds of processes: none should compile its modules anew because somebody's image says so.
unexport PYTHONDONTWRITEBYTECODE
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
POINT ?=
MINUTES ?= 60
RUNS ?= 100000
SECONDS ?= 600
SEED ?=

.PHONY: help setup demo up down check test unit contract integration faults storm simulate fuzz bench fmt samples docs analytics asyncapi alerts schema lock

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' Makefile

setup: .venv/.setup ## Install what the others need into .venv; nothing to do when it is up to date

demo: .venv/.setup ## Start everything, play a minute of traffic, and judge it
	@$(BIN)/python -m services.cli demo $(ARGS)

up: .venv/.setup ## Start the same stack and leave it running
	@$(BIN)/python -m services.cli up $(ARGS)

down: .venv/.setup ## Stop the stack that `make up` started (ARGS=--purge removes its data)
	@$(BIN)/python -m services.cli down $(ARGS)

check: .venv/.setup ## Format, lint, types, import rules, migrations, unit and contract tests: under a minute, no infrastructure
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy -n 2
	$(BIN)/lint-imports
	$(BIN)/squawk --config deploy/postgres/squawk.toml deploy/postgres/migrations/*.sql
	$(BIN)/python -m pytest -q -n 2 --dist worksteal tests/unit tests/contract

test: check ## Every tier of tests: what `check` does, then all on real Kafka and Postgres
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder tests/faults tests/integration $(ARGS)

unit: .venv/.setup ## The tests without I/O
	$(BIN)/python -m pytest tests/unit $(ARGS)

contract: .venv/.setup ## The tests of files that have to agree with each other
	$(BIN)/python -m pytest tests/contract $(ARGS)

integration: .venv/.setup ## The tests on real Kafka and Postgres
	$(BIN)/python -m pytest tests/integration $(ARGS)

faults: .venv/.setup ## The tests in which something is broken on purpose; POINT=… or POINT=all CYCLES=…: lives that end at a fault point
	$(if $(POINT),@$(BIN)/python -m tests.faults.cycles --point $(POINT) $(if $(CYCLES),--cycles $(CYCLES)) \
		$(if $(ACTION),--action $(ACTION)) $(if $(SEED),--seed $(SEED)) $(ARGS),$(BIN)/python -m pytest tests/faults $(ARGS))

simulate: .venv/.setup ## Run router, projector and sender in virtual time (RUNS=100000 SEED=0; RUNS=1 tells all that happens)
	@$(BIN)/python -m tests.support.simulation --runs $(RUNS) $(if $(SEED),--seed $(SEED)) $(ARGS)

fuzz: .venv/.setup ## Look for bytes that break the readers of webhooks and commands (SECONDS=600 each; needs atheris)
	@$(BIN)/python -m tests.fuzz webhook --seconds $(SECONDS)
	@$(BIN)/python -m tests.fuzz command --seconds $(SECONDS)

bench: .venv/.setup ## Measure and print a table
	@$(BIN)/python -m benchmarks $(ARGS)

# MINUTES=60 SEED=n. Three brokers, a standby and every kind of fault; `make test` has a short one.
storm: .venv/.setup ## Break everything at once by a seed's schedule, for MINUTES=60, and judge it
	@$(BIN)/python -m tests.faults.storm --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) $(ARGS)

fmt: .venv/.setup ## Format the code and mend what can be mended
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

samples: .venv/.setup ## Write anew what each sample webhook and each kind of bad input becomes (then read the diff)
	@$(BIN)/python -m tests.support.samples
	@$(BIN)/python -m tests.support.bad_input

docs: .venv/.setup ## Write docs/events.md, docs/asyncapi.yaml, docs/metrics.md and the JSON Schemas from schemas and code
	@$(BIN)/python -m tools.documents $(ARGS)

analytics: .venv/.setup ## Write docs/analytics.md from the named questions and a demo (a minute and a half)
	@$(BIN)/python -m tools.analytics_page

asyncapi: ## Validate docs/asyncapi.yaml with the AsyncAPI parser (needs Node.js 18 or newer)
	@command -v npm >/dev/null 2>&1 || { echo 'make asyncapi needs Node.js 18 or newer, with npm, on PATH.' >&2; exit 1; }
	@npm ci --prefix tools/asyncapi --loglevel=error
	@node tools/asyncapi/validate.mjs docs/asyncapi.yaml

alerts: ## Check the Prometheus rules and run their tests (needs promtool, which comes with Prometheus)
	@command -v promtool >/dev/null 2>&1 || { echo 'make alerts needs promtool on PATH: install Prometheus (Debian, Ubuntu and Homebrew: prometheus).' >&2; exit 1; }
	@promtool check rules deploy/prometheus/rules/*.yaml
	@promtool test rules deploy/prometheus/tests/*.yaml

schema: .venv/.setup ## Write deploy/postgres/schema.sql and docs/entities.md from the migrations
	@$(BIN)/python -m tools.schema

# Versions and hashes only: the file names no address to download from. Needs uv on PATH.
lock: ## Write requirements.lock from pyproject.toml (needs uv; ARGS=--upgrade takes newer versions)
	@command -v uv >/dev/null 2>&1 || { echo 'make lock needs uv on PATH: https://docs.astral.sh/uv' >&2; exit 1; }
	uv pip compile pyproject.toml --extra sandbox --extra export --extra dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet $(ARGS) --output-file requirements.lock

.venv/.setup: requirements.lock pyproject.toml
	@found=; for python in $(PYTHON) python3.13 python3.12 python3.11; do \
		"$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null || continue; \
		"$$python" -c 'import ensurepip, venv' 2>/dev/null || \
			{ echo "$$python has no venv module: install it (Debian and Ubuntu: python3-venv)." >&2; exit 1; }; \
		found=$$python; break; \
	done; \
	[ -n "$$found" ] || { echo 'Python 3.11, 3.12 or 3.13 is needed: install one, or name it with PYTHON=/path/to/python3.' >&2; exit 1; }; \
	$(BIN)/python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null || \
		{ rm -rf .venv && "$$found" -m venv .venv; } || exit 1; \
	echo 'Installing dependencies into .venv'; \
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes -r requirements.lock || exit 1; \
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable . || exit 1; \
	touch $@
