# `make lab` and `make test` set up all they need, from Python 3.11+ and pip, and then do what they say.

PYTHON   ?= python3
VENV     ?= .venv
LAB_ARGS ?=
# How many times as many examples `make fuzz` tries as `make test`.
MOJENTIC_NB_FUZZ ?= 20

PY  := $(VENV)/bin/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check
JS  := mojentic_nb/display/js
# The tests start many Python processes, which would compile every module anew in an image that sets this.
unexport PYTHONDONTWRITEBYTECODE
# Python tests run on all cores, each file's in one process; WORKERS= runs them one by one.
WORKERS ?= -n logical --maxprocesses=8 --dist loadfile --no-loadscope-reorder
SAY := @printf '\n==> %s\n'
# Jupyter refuses to run as root, as in a container, unless told that it is meant.
ROOT_ARGS := $(if $(filter 0,$(shell id -u)),--allow-root)

.DEFAULT_GOAL := help
.PHONY: help lab test quick fuzz check docs frontend check-frontend fresh pictures notebooks recordings clean

help:
	@echo "make lab        start JupyterLab on the quickstart notebook, answered by a model on this machine"
	@echo "make test       run every test: Python, notebooks, and JupyterLab in a browser"
	@echo "make quick      run in a minute what a change to Python code needs: no kernel, browser, model or random examples"
	@echo "make fuzz       try 20 times as many random examples as 'make test', and new ones; MOJENTIC_NB_FUZZ=100 tries more"
	@echo "make check      lint, formatting and types"
	@echo "make docs       build the documentation's pages into site/, and fail on a link that leads nowhere"
	@echo "make frontend   check, test and bundle the live view's JavaScript; needs Node 20, which nothing else does"
	@echo "make fresh      test 'make lab' itself and the steps of Binder, in fresh clones and empty homes"
	@echo "make pictures   take the pictures of the README and the documentation again"
	@echo "make notebooks  run the notebooks again and save their outputs"
	@echo "make recordings record again what the notebooks replay"
	@echo "make clean      remove the virtual environment $(VENV) and all caches"
	@echo "The first run installs into $(VENV); later ones start at once and need no network."
	@echo "LAB_ARGS='--no-browser --port=9999' goes to JupyterLab, PYTHON=python3.12 chooses the Python."

lab: $(VENV)/.lab
	$(SAY) "Starting JupyterLab on the quickstart notebook (Ctrl-C twice ends it)"
	@exec $(PY) -m jupyterlab notebooks/01_quickstart.ipynb $(ROOT_ARGS) $(LAB_ARGS)

test: $(VENV)/.test
	$(SAY) "Python tests, with their coverage of mojentic_nb"
	@$(PY) -m pytest tests --ignore=tests/browser --ignore=tests/fresh --cov $(WORKERS)
	$(SAY) "Notebooks, run and compared with their saved outputs"
	@$(PY) tests/notebooks.py
	$(SAY) "JupyterLab in a browser"
	@$(PY) -m pytest tests/browser $(WORKERS)

quick: $(VENV)/.test
	@$(PY) -m ruff check .
	@$(PY) -m pytest tests --ignore=tests/browser --ignore=tests/fresh -m "not slow" -q $(WORKERS)

fuzz: $(VENV)/.test
	$(SAY) "Tests with random examples, $(MOJENTIC_NB_FUZZ) times as many as in 'make test'"
	@MOJENTIC_NB_FUZZ=$(MOJENTIC_NB_FUZZ) $(PY) -m pytest tests --ignore=tests/browser --ignore=tests/fresh -m fuzz --timeout=0

check: $(VENV)/.test
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy

# Material for MkDocs tells at each build that Zensical is its successor, unless told not to.
docs: $(VENV)/.docs
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict --quiet
	$(SAY) "The documentation is in site/index.html"

# The bundle is committed, so that nobody needs Node to install or to test the package.
frontend:
	$(SAY) "Types, tests and bundle of the live view"
	@cd $(JS) && npm ci --no-audit --no-fund --loglevel=error && npm run --silent check && npm run --silent test && npm run --silent build

check-frontend: frontend
	$(SAY) "The committed bundle is what its sources make"
	@git diff --exit-code --stat -- mojentic_nb/display/static

fresh: $(VENV)/.test
	$(SAY) "'make lab' and the steps of Binder, in fresh clones and empty homes"
	@$(PY) -m pytest tests/fresh

pictures: $(VENV)/.test
	@$(PY) docs/pictures.py
	@$(PY) docs/animation.py

notebooks: $(VENV)/.test
	@$(PY) docs/notebooks.py

recordings: $(VENV)/.test
	@$(PY) docs/recordings.py

clean:
	rm -rf $(VENV) site .mypy_cache .pytest_cache .ruff_cache .hypothesis test-results

# Each stamp is made again when pyproject.toml changes.
$(VENV)/.lab: pyproject.toml | $(VENV)/.python
	$(SAY) "Installing JupyterLab, llama.cpp and mojentic_nb into $(VENV) (once, about a minute)"
	@$(PIP) -e ".[lab,local]"
	$(SAY) "Getting the embedded model ready"
	@$(PY) -m mojentic_nb.llm.gateways.local fetch
	@touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/.python
	$(SAY) "Installing mojentic_nb and what its tests need into $(VENV) (once, about two minutes)"
	@$(PIP) -e ".[all,test]"
	$(SAY) "Getting the embedded model ready"
	@$(PY) -m mojentic_nb.llm.gateways.local fetch
	$(SAY) "Looking for a Chromium for the browser tests"
	@$(PY) tests/chromium.py
	@touch $(VENV)/.lab $@

$(VENV)/.docs: pyproject.toml | $(VENV)/.python
	$(SAY) "Installing mojentic_nb and what builds its documentation into $(VENV) (once)"
	@$(PIP) -e ".[docs]"
	@touch $@

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("mojentic_nb needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] + ": call make with PYTHON=python3.11, say")'
	$(SAY) "Making the virtual environment $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@
