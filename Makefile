# Everything a new user needs: `make demo`, `make lab`, `make test`; `make help` lists the rest.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PY ?= python3
VENV := .venv
BIN := $(VENV)/bin
SERVER := .venv-server
FORMATS := .venv-formats
PPOL := .venv-ppol
RUN ?= runs/demo
DOMAIN ?= retail
SEED ?= 7
GENERATIONS ?= 48
JOBS ?= 2

.PHONY: help setup demo lab test test-server test-formats test-ppol paper paper-rerun latex pictures lint format clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PY) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and f"Python 3.11 or newer is needed, this is {v[0]}.{v[1]}; try make PY=python3.12")'
	@test -x $(BIN)/python || $(PY) -m venv $(VENV) || { echo "python3 -m venv failed; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@echo "Installing packages into $(VENV) (a minute or two) …"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

setup: $(VENV)/.ready ## make the environment

demo: setup ## a whole run offline: evolve, evaluate, figures and tables (under 5 minutes)
	@$(BIN)/workbench evolve --domain $(DOMAIN) --run $(RUN) --generations $(GENERATIONS) --early-stop $(GENERATIONS) --islands 2 --seed $(SEED)
	@$(BIN)/workbench evaluate $(RUN)
	@$(BIN)/workbench report $(RUN) -o $(dir $(RUN))figures

lab: setup ## open JupyterLab at the notebooks, on the run of `make demo`
	@WORKBENCH_RUN=$(abspath $(RUN)) $(BIN)/jupyter lab --ip=127.0.0.1 notebooks

test: setup ## run the tests
	@$(BIN)/python -m pytest -n auto --dist loadfile

$(SERVER)/.ready: tests/llm/tiny_model.py
	@test -x $(SERVER)/bin/python || $(PY) -m venv $(SERVER)
	@echo "Compiling llama.cpp's server into $(SERVER) (three to ten minutes, once) …"
	@$(SERVER)/bin/python -m pip install --quiet --disable-pip-version-check 'llama-cpp-python[server]==0.3.36' gguf
	@touch $@

test-server: setup $(SERVER)/.ready ## run the client against a real server with a tiny random model
	@WORKBENCH_SERVER_PYTHON=$(abspath $(SERVER)/bin/python) $(BIN)/python -m pytest tests/llm/test_real_server.py

paper: setup ## draw every table and figure of figures/ from the run that ships in data/paper_run
	@$(BIN)/workbench paper data/paper_run -o figures

paper-rerun: setup ## run the shipped plan again into runs/paper, offline, and compare with the shipped frames
	@$(BIN)/workbench paper data/plans/rehearsal.toml -o runs/paper --jobs $(JOBS) --against data/paper_run

latex: ## a PDF of all tables and figures from figures/ (Debian: texlive-latex-base, -latex-recommended, -fonts-recommended)
	@command -v pdflatex > /dev/null || { echo "pdflatex is missing; on Debian and Ubuntu: apt-get install --no-install-recommends texlive-latex-base texlive-latex-recommended texlive-fonts-recommended"; exit 1; }
	@cd figures && for i in 1 2; do pdflatex -interaction=nonstopmode -halt-on-error paper.tex > paper.out || { tail -20 paper.out; exit 1; }; done
	@cd figures && rm -f paper.aux paper.log paper.lof paper.lot paper.out && echo "figures/paper.pdf"

pictures: setup ## the README's pictures, of the run of `make demo`, in a headless Chromium
	@WORKBENCH_RUN=$(abspath $(RUN)) WORKBENCH_SCREENSHOTS=$(abspath docs/img) $(BIN)/python -m pytest -q tests/test_notebooks.py -k pictures

$(FORMATS)/.ready: pyproject.toml constraints-formats.txt
	@test -x $(FORMATS)/bin/python || $(PY) -m venv $(FORMATS)
	@echo "Installing DeepEval, MLflow and Google ADK into $(FORMATS) (a minute or two) …"
	@$(FORMATS)/bin/python -m pip install -qq --disable-pip-version-check -c constraints-formats.txt \
		$$($(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["formats"])')
	@touch $@

test-formats: setup $(FORMATS)/.ready ## read what is exported by the libraries it is for
	@WORKBENCH_FORMATS_PYTHON=$(abspath $(FORMATS)/bin/python) $(BIN)/python -m pytest tests/export

$(PPOL)/.ready:
	@test -x $(PPOL)/bin/python || $(PY) -m venv $(PPOL)
	@echo "Installing ppol 0.1.1 and OpenEvolve 0.4.0 into $(PPOL) (a minute or two) …"
	@$(PPOL)/bin/python -m pip install -qq --disable-pip-version-check ppol==0.1.1 openevolve==0.4.0
	@touch $@

test-ppol: setup $(PPOL)/.ready ## make a real run of ppol against a scripted server, and open it
	@WORKBENCH_PPOL_PYTHON=$(abspath $(PPOL)/bin/python) $(BIN)/python -m pytest tests/evolve/test_ppol.py

lint: setup ## ruff, formatting and types
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

format: setup ## format the code
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

clean: ## remove runs and caches (not the environment)
	@rm -rf runs .pytest_cache .ruff_cache .mypy_cache build *.egg-info
