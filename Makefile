# Every command of the project. `make help` lists them; CI calls the same targets and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help install run test slow lint types fmt all

help: ## list the commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

# torch first and alone: its plain CPU build is small; a looser range may pull gigabytes of CUDA.
$(VENV)/.installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/pip install --quiet torch==2.13.0
	$(BIN)/pip install --quiet --editable . --group dev
	@touch $@

install: $(VENV)/.installed ## set up .venv with everything that the project needs

run: install ## set up and run the default search: no key, no server
	$(BIN)/vitruvius run

test: install ## set up and run the default tests
	$(BIN)/pytest -n 2

slow: install ## run the long fault and statistics tests
	$(BIN)/pytest -m "slow or llm" -n 2

lint: install ## check style
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: install ## check types
	$(BIN)/mypy

fmt: install ## format and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

all: lint types test slow ## everything that CI checks
