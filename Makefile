# `make repro` and `make test` set up all they need: Python 3.11 or newer, git and make are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Wheels that pip is told of through its environment are known to uv too.
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
INSTALL := uv pip install --quiet --compile-bytecode --python $(BIN)/python

FUZZ_INPUTS ?= 100000

.PHONY: repro test test-vllm test-cluster test-app check bench fuzz chaos weights help setup setup-dev clean lock

repro: setup  ## the whole chain, then the page
	python -m kmerl.experiments.after_kill
	dvc repro
	@echo "The report is report/index.html"
	@kmerl changed

test: setup-dev  ## the fast suite
	python -m pytest

test-vllm: setup-dev  ## mining through a real vLLM server on the CPU, in an environment of its own
	python -m tests.vllm_environment .venv-vllm
	test ! -e .venv-vllm/ready || python -m pytest --numprocesses=0 -s tests/vllm_on_cpu.py

fuzz: setup-dev  ## damaged files for every reader, FUZZ_INPUTS of them; half an hour on two cores
	python -m tests.faults.campaign --inputs $(FUZZ_INPUTS)

check: setup-dev  ## format, lint, types; then known vulnerabilities and licences, which fail nothing
	ruff format --check kmerl stages tests benchmarks docs
	ruff check kmerl stages tests benchmarks docs
	mypy
	-python -m tests.audit

chaos: setup-dev  ## kills, full disks, damaged checkpoints, two runs at once: an hour; more by CHAOS="--kills 200"
	python -m tests.faults.chaos $(CHAOS)

test-cluster: setup-dev  ## two nodes of torchrun's, of Dask's and of Ray's, evaluation in two processes, results shared over S3: some minutes
	python -m pytest --numprocesses=0 --override-ini=python_files='*.py' tests/cluster

test-app: setup-dev  ## the page of `kmerl app` in headless Chromium, with the package's model
	$(INSTALL) ".[app]" playwright
	python -m pytest --numprocesses=0 -W default tests/app_in_chromium.py

weights: setup  ## the package's own model: params/simulated.yaml, measured on the real corpora in raw/ptb-xl, raw/cpsc2018, raw/csn
	test -d build/weights || git clone --quiet . build/weights
	mkdir -p build/weights/raw
	for corpus in ptb-xl cpsc2018 csn; do ln -sfn $(CURDIR)/raw/$$corpus build/weights/raw/$$corpus; done
	cp params/simulated.yaml build/weights/params.yaml
	cd build/weights && dvc repro zero_shot
	kmerl export kmerl/predict/simulated --model build/weights/models --run build/weights --licence mit

bench: setup  ## ratios, one JSON document last
	python -m benchmarks

help:  ## these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: $(VENV)/.installed  ## the environment that runs the chain, in .venv
setup-dev: $(VENV)/.installed-dev  ## the same, and what tests and checks need

$(VENV)/.installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	pip install --quiet --constraint requirements.lock uv
	$(INSTALL) --override requirements-override.txt --requirement requirements.lock
	$(INSTALL) --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.lock
	$(INSTALL) --no-deps --requirement requirements-dev.lock
	touch $@

lock:  ## pin what a fresh resolution of pyproject.toml gives
	$(PYTHON) -m tests.lock

clean:  ## remove environments, checkpoints, kept tracebacks and live plots
	rm -rf $(VENV) $(VENV)-vllm .checkpoints .kmerl live
