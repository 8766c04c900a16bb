# Two commands on a fresh clone: `make quickstart` and `make test`. Everything is installed into .venv.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: quickstart quickstart_zh test check format clean

quickstart: .venv/demo
	$(BIN)/bertkit run pipelines/quickstart.yaml

quickstart_zh: .venv/demo-zh
	$(BIN)/bertkit run pipelines/quickstart_zh.yaml

test: .venv/dev
	$(BIN)/pytest -n 2

check: .venv/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pytest -n 2

format: .venv/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/demo: .venv/bin/python pyproject.toml constraints.txt
	$(INSTALL) --editable ".[demo]"
	touch $@

.venv/demo-zh: .venv/bin/python pyproject.toml constraints.txt
	$(INSTALL) --editable ".[demo-zh]"
	touch $@

.venv/dev: .venv/bin/python pyproject.toml constraints.txt
	$(INSTALL) --editable ".[dev]"
	touch $@

clean:
	rm -rf .venv
