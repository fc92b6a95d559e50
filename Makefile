# Two commands carry a newcomer: `make run` and `make test`. Each sets up what it needs.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run call test check lint types accuracy bench soak minio postgres browser schema requirements clean help

help: ## list the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /make \1\t/' | expand -t 18

run: $(VENV)/base ## answer calls on http://127.0.0.1:7860
	@exec $(BIN)/python main.py serve

call: $(VENV)/base ## place a simulated phone call and watch it
	@$(BIN)/python main.py call $(CALL)

test: $(VENV)/dev ## prove that it works
	$(BIN)/python -m pytest $(TESTS)

check: lint types test ## what CI runs: ruff, mypy, tests

lint: $(VENV)/dev ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev ## mypy, strict
	$(BIN)/mypy

accuracy: $(VENV)/dev ## how well the keyless recogniser hears
	@# One thread: more of them cost two to three times the CPU and save nothing.
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m bench.accuracy

bench: $(VENV)/dev ## latency, gaps, CPU and memory per call, against a plain Pipecat bot and an echo
	$(BIN)/python -m bench $(BENCH)

soak: $(VENV)/dev ## hours of calls, faults, kills and drains; what can be shortened: SOAK=--help
	$(BIN)/python -m bench.soak $(SOAK)

minio: ## build a real MinIO for the storage tests (needs Go)
	scripts/install_minio.sh

postgres: ## install PostgreSQL's server for the tests of the index of calls (needs apt)
	scripts/install_postgres.sh

browser: ## install a headless browser for the page's test (needs apt and npm)
	scripts/install_browser.sh

schema: $(VENV)/dev ## rewrite what is made from the models: JSON Schema, env.example, tables of the docs
	$(BIN)/python main.py schema
	$(BIN)/python -m tests.unit.test_documented_settings

requirements: $(VENV)/dev ## compile requirements.txt and requirements-dev.txt from pyproject.toml
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-header pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-header --extra dev -c requirements.txt pyproject.toml -o requirements-dev.txt

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache

$(VENV)/bin/uv:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check uv==0.13.8

$(VENV)/base: requirements.txt $(VENV)/bin/uv
	$(BIN)/uv pip install -q --python $(BIN)/python -r requirements.txt
	@touch $@

$(VENV)/dev: requirements-dev.txt $(VENV)/base
	$(BIN)/uv pip install -q --python $(BIN)/python -r requirements-dev.txt
	@touch $@
