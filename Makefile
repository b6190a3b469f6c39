# Two commands on a fresh machine with python3 (3.11 or newer) and make: `make demo`, `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
OLDEST ?= .venv-oldest
OLDEST_PYTHON ?= python3.11
WITH_TORCH ?= .venv-torch
# What reads NVIDIA's .pth.tar in the tests; the newest release would do too.
TORCH ?= torch==2.13.0
# One worker more than cores, as tests wait too: for processes, files, cameras. A file's tests share what they have compiled,
# so they stay together; the longest files begin first (tests/conftest.py).
WORKERS := $(shell $(PYTHON) -c 'import os; print(min(4, 1 + (os.cpu_count() or 1)))')
PARALLEL := -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-slow test-notebooks test-oldest test-torch docs notebooks lint format clean

demo: $(VENV)/.core  ## draw a short clip and segment it; look into demo-out/
	$(BIN)/dvsnet demo --out demo-out

test: $(VENV)/.dev lint  ## style, types and the default tests (offline, about ten minutes on two cores)
	$(BIN)/python -m pytest -m "not slow" $(PARALLEL)

test-slow: $(VENV)/.dev  ## the heavier tests; SLOW="--minutes 10" begins none after ten minutes
	$(BIN)/python -m pytest -m slow --durations 20 $(SLOW)

test-notebooks: $(VENV)/.dev  ## runs every notebook, and leaves the files as they are
	$(BIN)/python -m pytest -m slow tests/project/test_notebooks.py -n 2 --dist load

notebooks: $(VENV)/.dev  ## makes notebooks/*.ipynb from their texts: runs them and keeps what they show
	$(BIN)/python notebooks/execute.py

test-oldest: $(OLDEST)/.dev  ## the default tests on the oldest libraries that pyproject.toml admits (Python 3.11)
	$(OLDEST)/bin/python -m pytest -m "not slow" $(PARALLEL) -o cache_dir=$(OLDEST)/cache

test-torch: $(WITH_TORCH)/.dev  ## what wants the extra torch (torchax, transformers): the default tests pass over it
	$(WITH_TORCH)/bin/python -m pytest tests/networks/test_from_torch.py tests/networks/test_torch_modules.py tests/networks/test_torch_operators.py tests/cli/test_accelerate_classes.py tests/checkpoints/test_kept_networks.py tests/checkpoints/test_safetensors.py -o cache_dir=$(WITH_TORCH)/cache
	$(WITH_TORCH)/bin/python -m pytest tests/project/test_documentation.py -k "run and pytorch" -o cache_dir=$(WITH_TORCH)/cache

docs: $(VENV)/.dev  ## the site, in build/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "written to build/site/index.html"

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "dvsnet-jax needs Python 3.11 or newer; this is $$($(PYTHON) --version). Try: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.core: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet --editable '.[dev,import]'
	@touch $@ $(VENV)/.core

$(OLDEST)/.dev: pyproject.toml constraints/oldest.txt
	$(OLDEST_PYTHON) -m venv --clear $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet $(TORCH)
	$(OLDEST)/bin/python -m pip install --quiet --constraint constraints/oldest.txt --editable '.[dev,import]'
	@touch $@

$(WITH_TORCH)/.dev: pyproject.toml
	$(PYTHON) -m venv --clear $(WITH_TORCH)
	$(WITH_TORCH)/bin/python -m pip install --quiet $(TORCH)
	$(WITH_TORCH)/bin/python -m pip install --quiet --editable '.[dev,torch]'
	@touch $@

clean:
	rm -rf $(VENV) $(OLDEST) $(WITH_TORCH) demo-out build dist .pytest_cache .mypy_cache .ruff_cache
