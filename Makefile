# Everything runs in .venv, which `install` makes from pyproject.toml and constraints.txt when either has changed.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
FIND_PYTHON := for python in $(PYTHON) python3.11 python3.12 python3.13 python3.14 python3 python /usr/bin/python3; do \
	"$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
	&& { echo "$$python"; break; }; done
# A test process for each processor, eight at most; tests that use Ray all run in the same one.
WORKERS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); echo $$((n < 8 ? n : 8)))
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --durations=25
# Ray imports jsonschema, and jsonschema this parser where it is there: two seconds more for each process of Ray.
# Only the library for SBOMs asks for it, and does without.
UNWANTED := rfc3987-syntax
# Tests start hundreds of processes: each would compile the platform's modules again.
unexport PYTHONDONTWRITEBYTECODE
BENCH_OUT ?= benchmarks/results
DATA ?= $(PAGEMILL_DATA)

.DEFAULT_GOAL := help
.PHONY: help install demo node-packages test test-fast test-long test-observability test-acceptance chaos simulation fuzz lint format bench bench-reading bench-upright bench-api bench-usage bench-jobs bench-bundles bench-workflows bench-surface bench-serving rehearse code-figures release release-fixture docs constraints clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## Set up .venv (about 2 GB, a few minutes); the targets below do it by themselves

$(STAMP): pyproject.toml constraints.txt
	@python="$$($(FIND_PYTHON))"; \
	test -n "$$python" || { echo "Python 3.11 or newer (with venv and ensurepip) is needed; say which with PYTHON=..." >&2; exit 1; }; \
	test -x $(BIN)/python || { echo "Making $(VENV) with $$python"; "$$python" -m venv $(VENV); }
	@echo "Installing torch"
	@$(PIP) install --quiet -c constraints.txt torch
	@echo "Installing Pagemill and what it stands on"
	@$(PIP) install --quiet -c constraints.txt -e '.[demo,dev]'
	@$(PIP) uninstall --quiet --yes $(UNWANTED)
	@touch $@

demo: install ## The main job on documents that it renders itself: upload, train, predict (a minute, and some for installation)
	@$(BIN)/python -m examples.demo

node-packages: install ## Install what tests run with Node (npm ci); tests that miss it do it themselves, or are skipped
	@$(BIN)/python -m tests.support.node

test: install ## All tests but the long ones, among them the main job through the official clients (15 to 25 minutes)
	$(PYTEST) -m "not long and not observability"

test-long: install ## The long ones: releases roll, workers train together, more parts are killed amid jobs (about 15 minutes)
	$(PYTEST) -m long

test-fast: install ## Tests that start neither Ray nor a stack (under 3 minutes on 2 processors)
	$(PYTEST) -m "not acceptance and not chaos and not fuzz and not long and not observability and not ray and not simulation and not stack"

test-observability: install ## Dashboards and alerts on a stack and a real Prometheus, with failures rehearsed (about 6 minutes)
	@command -v prometheus >/dev/null && command -v promtool >/dev/null || { \
		echo "prometheus and promtool are needed: apt-get install prometheus, or those of https://prometheus.io/download" >&2; exit 2; }
	$(BIN)/python -m pytest tests/unit/deploy/test_observability.py tests/observability

test-acceptance: install ## All operations through the official clients (Python, command line, Node) on a running stack
	$(BIN)/python -m pytest tests/acceptance

chaos: install ## Kill each part amid 300 jobs of organizations at their limits; nothing may be lost (about 30 minutes)
	PAGEMILL_CHAOS_LONG=1 PAGEMILL_CHAOS_SEED=$${PAGEMILL_CHAOS_SEED:-$$RANDOM} $(BIN)/python -m pytest tests/chaos

simulation: install ## Break jobs, usage and workflows between any two statements, in 3,200 stories (about 6 minutes on 2 processors)
	PAGEMILL_SIMULATION_SEEDS=$${PAGEMILL_SIMULATION_SEEDS:-3000} $(BIN)/python -m pytest tests/chaos/test_simulation.py

fuzz: install ## Search 25 minutes for what the API answers wrongly, and for documents that break the reader
	PAGEMILL_FUZZ_SECONDS=1200 PAGEMILL_FUZZ_SEED=$$RANDOM $(BIN)/python -m pytest tests/fuzz

lint: install ## ruff, mypy and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install ## Format the code and sort its imports
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: install ## Accuracy on real documents: PAGEMILL_DATA=DIR make bench
	@test -n "$(DATA)" || { echo "Set PAGEMILL_DATA to the folder that holds adbuy/, sroie/ and score.py" >&2; exit 2; }
	$(BIN)/python benchmarks/accuracy.py --data "$(DATA)" --out $(BENCH_OUT)/accuracy.json

bench-reading: install ## Reading beside the former reader and Tesseract: PAGEMILL_DATA=DIR make bench-reading
	@test -n "$(DATA)" || { echo "Set PAGEMILL_DATA to the folder that holds sroie/ and adbuy/" >&2; exit 2; }
	$(BIN)/python -m benchmarks.reading --data "$(DATA)" --out $(BENCH_OUT)/reading.json

bench-upright: install ## Pages turned upright, beside reading them twice: PAGEMILL_DATA=DIR make bench-upright
	@test -n "$(DATA)" || { echo "Set PAGEMILL_DATA to the folder that holds sroie/ and adbuy/" >&2; exit 2; }
	$(BIN)/python -m benchmarks.upright --data "$(DATA)" --out $(BENCH_OUT)/upright.json

bench-api: install ## Speed of the API beside a bare handler and without its metrics, long lists, memory of uploads (about 7 minutes)
	$(BIN)/python benchmarks/api.py --out $(BENCH_OUT)/api.json

bench-usage: install ## Reservations of usage beside the plain guarded UPDATE, on one organization and on 10,000 (2 minutes)
	$(BIN)/python benchmarks/usage.py --out $(BENCH_OUT)/usage.json

bench-jobs: install ## Jobs beside pgqueuer and procrastinate, a prediction that does nothing, idle load (6 minutes)
	$(PIP) install --quiet -c constraints.txt -e '.[bench]'
	$(BIN)/python benchmarks/jobs.py --out $(BENCH_OUT)/jobs.json

bench-bundles: install ## Data bundles of 20 and of 5,000 documents beside the former way: seconds and memory (3 minutes)
	$(BIN)/python -m benchmarks.bundles --out $(BENCH_OUT)/bundles.json

bench-workflows: install ## Workflows beside the engine's drain, a state's latency, 100,000 that wait, starts of containers (3 minutes)
	$(BIN)/python -m benchmarks.workflows --out $(BENCH_OUT)/workflows.json

bench-surface: install ## How fast others are answered while somebody is hostile: slow connections, hostile requests (5 minutes)
	$(BIN)/python -m benchmarks.surface --out $(BENCH_OUT)/surface.json

bench-serving: install ## Serving beside its references on a stack: PAGEMILL_DATA=DIR make bench-serving (40 minutes)
	@test -n "$(DATA)" || { echo "Set PAGEMILL_DATA to the folder that holds sroie/ and adbuy/" >&2; exit 2; }
	$(BIN)/python -m benchmarks.serving --data "$(DATA)" --out $(BENCH_OUT)/serving.json

rehearse: install ## What a cluster does: its plan of nodes, days of scaling, Ray nodes on this machine (20 minutes)
	$(BIN)/python -m benchmarks.rehearsals --out $(BENCH_OUT)/rehearsals.json

code-figures: ## Sizes of modules and functions, docstrings, untyped edges, as JSON
	@$(BIN)/python -m benchmarks.code

dashboards: install ## Write the dashboards of deploy/observability from their description in tools/dashboards
	$(BIN)/python -m tools.dashboards

docs: install ## Write what is computed in docs: the tables of scaling.md and the settings
	$(BIN)/python -m tools.documents

api-docs: install ## Write docs/api: the OpenAPI document and the Postman collection made from it (needs Node)
	$(BIN)/python -m tools.api_docs

api-examples: install ## Record the examples of the API document from calls of all operations
	PAGEMILL_RECORD_EXAMPLES=1 $(BIN)/python -m pytest -q tests/integration/api/openapi/test_examples.py

release: install ## Make dist/: wheel, sdist, hashed dependencies, SBOM, API document; check it in an empty environment
	$(BIN)/python -m tools.release $(RELEASE_OPTIONS)

release-fixture: install ## Record the statements of this release, which the next one's schema has to understand
	$(BIN)/python -m tools.release_statements

constraints: ## Pin what .venv holds now, and what is removed from it after it was installed
	@{ head -1 constraints.txt; { $(PIP) freeze --all --exclude-editable 2>/dev/null; grep '^$(UNWANTED)==' constraints.txt; } \
		| grep -v -E '^#|@ file|^(pip|wheel)==' | sed -E 's/\+cpu$$//' | LC_ALL=C sort -u -f -t= -k1,1; } > .venv/constraints.new
	@mv .venv/constraints.new constraints.txt

clean: ## Remove .venv, caches and the data of the demo
	rm -rf $(VENV) .pagemill-demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist build
