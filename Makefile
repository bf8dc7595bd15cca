# Everything works on a machine with Python 3.11+ and make; .venv is made on the way.
PYTHON ?= python3
OUT ?= runs/catch
BIN := .venv/bin

.PHONY: demo test check bench help
.DEFAULT_GOAL := help

help: ## what there is
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: .venv/installed ## the whole pipeline on the sample recording of Catch (a minute or two); the page is runs/catch/report.html
	$(BIN)/agentlab run catch --recordings samples:catch --out $(OUT) --force

test: .venv/installed ## all tests
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

check: .venv/installed ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/installed ## speed and memory of the run that make demo left
	$(BIN)/agentlab bench throughput $(OUT) --out $(OUT)/bench
	$(BIN)/agentlab bench memory $(OUT) --out $(OUT)/bench

.venv/installed: pyproject.toml .ci/system-packages
	PYTHON=$(PYTHON) sh .ci/system-packages
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@
