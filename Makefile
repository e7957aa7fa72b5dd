# Every target sets itself up first: an environment in .venv (bench: .venv-bench) with the versions of constraints.txt.
PYTHON ?= python3
VENV ?= .venv
BENCH_VENV ?= .venv-bench
MANIFEST ?=
BIN := $(VENV)/bin
export PATH := $(abspath $(BIN)):$(PATH)

.PHONY: reproduce test test-faults figures repro sync reference bench bench-reference setup
.DEFAULT_GOAL := reproduce

reproduce: setup  ## every stage and figure of the default study
	snakemake --cores all

figures: setup    ## redraw the figures of results/reference/ from the tables beside them
	python workflow/redraw.py

repro: setup      ## the same through DVC
	dvc repro

sync: setup       ## after dvc pull or dvc checkout
	python workflow/sync.py

reference: setup  ## copy the default run's tables, figures and claims to results/reference/
	python workflow/reference.py

bench: $(BENCH_VENV)/.installed  ## speed, memory and quality beside other tools, on activations of the default study or of MANIFEST
	$(BENCH_VENV)/bin/python -m benchmarks $(addprefix --manifest ,$(MANIFEST))

bench-reference: $(BENCH_VENV)/.installed  ## copy the benchmark to results/reference/bench/ and into README.md
	$(BENCH_VENV)/bin/python -m benchmarks --publish

TEST_WORKERS ?= 2
test: setup       ## style, types, layers, then all tests
	ruff check
	ruff format --check
	pyright
	lint-imports
	snakefmt --check Snakefile workflow/rules
	python -m pytest -q -n $(TEST_WORKERS) --dist loadfile

STEPS ?= 200
WORKFLOWS ?= 20
FAULTS ?= --target all --seed 1 --out ../logs/faults
test-faults: setup  ## kill -9, full disks and the like, on copies of the tiny study; hours at these counts
	cd tests && python -m faults --steps $(STEPS) --workflows $(WORKFLOWS) $(FAULTS)

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[pipeline,test]'
	touch $@

$(BENCH_VENV)/.installed: pyproject.toml constraints.txt benchmarks/requirements.txt
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt -r benchmarks/requirements.txt -e .
	touch $@
