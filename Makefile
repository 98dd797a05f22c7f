# Two commands do everything on a fresh machine: `make run` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt

.DEFAULT_GOAL := help
.PHONY: help setup run test test-all lint bench reliability bench-phasing reproduce clean

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(STAMP)  ## make .venv with everything pinned in constraints.txt

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -e '.[dev]'
	@touch $@

run: $(STAMP)  ## solve the shipped sample from data to 1.5 Å, fill it to 0.8 Å, and say where the result is
	$(BIN)/xrdml infer data_samples/paracetamol_1p5.hkl --out results/paracetamol

test: $(STAMP)  ## lint, types and the test suite without its slow part
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -m 'not slow'

test-all: $(STAMP)  ## the whole test suite
	$(BIN)/python -m pytest

lint: $(STAMP)  ## repair style, then check types
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/mypy

bench: $(STAMP)  ## benchmarks, as ratios measured in one run
	$(BIN)/python benchmarks/simulate.py
	$(BIN)/python benchmarks/structure_factors.py

reliability: $(STAMP)  ## damaged files, kills, full disks …: docs/reliability.md from what was measured
	PYTHONPATH=benchmarks $(BIN)/python -m reliability $(ARGS)

bench-phasing: $(STAMP)  ## solved or not on real crystals, beside charge flipping; can be stopped and goes on
	$(BIN)/python benchmarks/phasing.py $(ARGS)

reproduce: $(STAMP)  ## simulation, training, fine-tuning and the table; SCALE=smoke|cpu|full; goes on where it stopped
	$(BIN)/python scripts/reproduce.py $(or $(SCALE),smoke)

clean:  ## remove everything that can be made again
	rm -rf $(VENV) results runs build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
