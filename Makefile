# Every target first sets up an environment in .venv (bench, test-interop: .venv-bench) with the versions of constraints.txt.
# In .venv, all downloads but torch are checked against the hashes of lock/, those of the build tools too.
PYTHON ?= python3
VENV ?= .venv
BENCH_VENV ?= .venv-bench
MANIFEST ?=
BIN := $(VENV)/bin
export PATH := $(abspath $(BIN)):$(PATH)

.PHONY: reproduce test docs cluster prefetch test-browser test-s3 test-cluster cluster-reference test-interop test-gpu bench-gpu test-clones test-processors zoo test-faults faults-reference overhead figures schema help repro sync reference rejudge stages bands bench bench-reference lock setup
.DEFAULT_GOAL := reproduce

help:             ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-18s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

reproduce: setup  ## every stage and figure of the default study
	snakemake --cores all

schema: setup     ## the JSON Schema of params.yaml for editors, from the declarations in src/fispace/study/config/
	python -m fispace schema --out workflow/schemas/params.schema.json

figures: setup    ## redraw the figures of results/reference/ from the tables beside them
	python workflow/redraw.py

rejudge: setup    ## judge the reference again from its tables, after a change to a claim, a verdict or a page
	python workflow/rejudge.py

repro: setup      ## every stage and figure of the default study, through DVC
	dvc repro

# for another study than the default one: --config and the values of its run
STUDY_OPTIONS ?=
sync: setup       ## after dvc pull, dvc checkout or a copy from elsewhere: accept the results that their records prove
	python workflow/sync.py $(STUDY_OPTIONS)

stages: setup     ## the DVC stages of the study of STUDY_OPTIONS, to studies/
	python workflow/stages.py $(STUDY_OPTIONS)

cluster: setup    ## adds what profiles/slurm and profiles/kubernetes need to the environment
	$(PIP_INSTALL) --require-hashes --no-deps -r lock/cluster.txt

prefetch: setup   ## the hub's model and texts of the study of STUDY_OPTIONS, to prefetched/, for nodes without a network
	python workflow/prefetch.py $(STUDY_OPTIONS)

docs: setup       ## the documentation to build/site/, to be opened from disk
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict -q

reference: setup  ## copy a run's tables, figures and claims to results/reference/; the default run's to README.md and docs/ledger.md
	python workflow/reference.py $(STUDY_OPTIONS)

BANDS = results/reference/bands
bands: setup      ## where another machine's numbers should lie, from the ledgers of several runs
	python -m fispace bands --ledgers $(wildcard $(BANDS)/runs/*.csv) --bands $(BANDS)/testbed.csv

bench: $(BENCH_VENV)/.installed  ## speed, memory and quality beside other tools, on activations of the default study or of MANIFEST
	$(BENCH_VENV)/bin/python -m benchmarks $(addprefix --manifest ,$(MANIFEST))

bench-reference: $(BENCH_VENV)/.installed  ## copy the benchmark to results/reference/bench/ and into docs/benchmark.md
	$(BENCH_VENV)/bin/python -m benchmarks --publish

TEST_WORKERS ?= 2
test: setup       ## style, types, layers, then all tests
	ruff check
	ruff format --check
	pyright
	lint-imports
	snakefmt --check Snakefile workflow/rules
	python -m pytest -q -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder  # the longest file first, not the one of most tests

test-browser: setup  ## the pages in a real Chromium, which must be installed (Debian: apt install chromium)
	python -m pytest -q -rs tests/browser/test_pages.py tests/report/test_html_in_chromium.py

test-s3: setup    ## a DVC remote on a local S3 server; what that needs is added to the environment
	$(PIP_INSTALL) --require-hashes --no-deps -r lock/s3.txt
	python -m pytest -q tests/workflow/test_s3.py

DEVICE ?= cuda
test-gpu: setup   ## every chapter's steps on a card, beside the processor; a minute. DEVICE=cpu shows that the script works
	FISPACE_TEST_DEVICE=$(DEVICE) python -m pytest -q -rs tests/device

GPU_OUT ?= results/bench-gpu
bench-gpu: $(BENCH_VENV)/.installed  ## speed, memory and quality on one card, beside SAELens and sparsify; some minutes
	$(BENCH_VENV)/bin/python -m benchmarks.gpu --device $(DEVICE) --out $(GPU_OUT) $(PUBLISH)

CLUSTER_OUT ?= ../logs/cluster
test-cluster: cluster  ## the study on a real SLURM of one node, jobs killed and nodes lost; root, Debian's slurm-wlm and munge; an hour
	$(PIP_INSTALL) --require-hashes --no-deps -r lock/s3.txt
	python -m pytest -q -rs tests/cluster
	cd tests && python -m cluster --out $(CLUSTER_OUT)

cluster-reference: setup  ## its table to results/reference/cluster/ and into docs/cluster.md
	cd tests && python -m faults.publish --of cluster --out $(CLUSTER_OUT)

test-clones: setup  ## two clones, two environments, two tools, other surroundings: the same sha256 of every file?
	cd tests && python -m faults.clones

test-processors: setup  ## the tests and the tiny study as on processors without AVX-512, and without AVX; an hour each
	cd tests && python -m faults.processors

# no network, no bars, and tensors of a CPU, which sparsify's decoder kernel for GPUs cannot read
OF_TOOLS = HF_HUB_OFFLINE=1 TQDM_DISABLE=1 SPARSIFY_DISABLE_TRITON=1
test-interop: $(BENCH_VENV)/.installed  ## SAEs to and from SAELens and sparsify, loaded by the tools themselves
	cd tests && $(OF_TOOLS) $(abspath $(BENCH_VENV))/bin/python -W ignore -m exchange.interop

zoo: setup        ## by how much each of 42 architectures breaks the laws that every number rests on; a minute
	cd tests && python -m lm.zoo

STEPS ?= 200
WORKFLOWS ?= 20
FAULTS_OUT ?= ../logs/faults
FAULTS ?= --seed 1 --out $(FAULTS_OUT)
test-faults: setup  ## kill -9, full disks and the like, on copies of the tiny study; hours at these counts
	cd tests && python -m faults --steps $(STEPS) --workflows $(WORKFLOWS) $(FAULTS)

faults-reference: setup  ## its table to results/reference/faults/ and into docs/robustness.md
	cd tests && python -m faults.publish --out $(FAULTS_OUT)

STUDY ?= ..
overhead: setup   ## run the jobs of a finished study again, one by one: what do hashes, records, fsync and checkpoints cost?
	cd tests && python -m faults.overhead --study $(STUDY)

LOCK_TOOL ?= build/lock
HASHES = $(LOCK_TOOL)/bin/uv pip compile -q --no-config --universal --generate-hashes --no-header --no-annotate
extra = sed -n 's/^$(1) = \[\(.*\)\]/\1/p' pyproject.toml | tr -d '" ' | tr ',' '\n'
lock:             ## the hashes of every file of the releases in constraints.txt, to lock/
	$(PYTHON) -m venv $(LOCK_TOOL)
	$(LOCK_TOOL)/bin/python -m pip install -q --disable-pip-version-check uv==0.13.9
	grep '^setuptools==' constraints.txt | $(HASHES) --no-deps - -o lock/build.txt
	grep -Ev '^(setuptools|torch)==' constraints.txt | $(HASHES) --no-deps - -o lock/packages.txt
	$(call extra,s3) | $(HASHES) --python-version 3.11 -c lock/packages.txt - -o lock/s3.txt
	$(call extra,cluster) | $(HASHES) --python-version 3.11 -c lock/packages.txt -c lock/s3.txt - -o lock/cluster.txt

setup: $(VENV)/.installed  ## the environment alone, in .venv; nothing else is installed or changed

# compiled on all cores at the end, not by pip on one; a file for another Python is no error there either
PIP_INSTALL := $(BIN)/python -m pip install -q --disable-pip-version-check --no-compile
$(VENV)/.installed: pyproject.toml constraints.txt lock/build.txt lock/packages.txt
	@echo "Setting up $(VENV) with the versions of constraints.txt: 2 to 3 GB, some minutes; it is done once."
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed")'
	@echo "1/4 an empty environment, and what builds packages"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP_INSTALL) --require-hashes --no-deps -r lock/build.txt
	@echo "2/4 the packages of lock/packages.txt, each checked by its hash"
	@$(PIP_INSTALL) --require-hashes --no-deps --no-build-isolation -r lock/packages.txt
	@echo "3/4 $$(grep '^torch==' constraints.txt), the largest, and this package"
	@$(PIP_INSTALL) "$$(grep '^torch==' constraints.txt)"
	@$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@echo "4/4 byte code, and a check that all fits together"
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true
	@$(BIN)/python -m pip check
	touch $@

$(BENCH_VENV)/.installed: pyproject.toml constraints.txt benchmarks/requirements.txt
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt -r benchmarks/requirements.txt -e .
	touch $@
