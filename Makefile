# make demo: set up, train, evaluate, export and predict on the built-in simulator.
# make test: set up and run the tests.  make lint: formatting and lint.  make install: set up only.
# TF=current after any of them: the newest TensorFlow instead of 2.15, in an environment of its own.
TF ?= 2.15
SEED ?= 0

ifeq ($(TF),2.15)
VENV := .venv
LOCK := requirements.lock
PYTHONS := 3.11
DEMO := runs/demo
else ifeq ($(TF),current)
VENV := .venv-current
LOCK := requirements-current.lock
PYTHONS := 3.13 3.12 3.11
DEMO := runs/demo-current
else
$(error TF=$(TF): there are two stacks; give TF=2.15 (the default) or TF=current)
endif

PYTHON := $(VENV)/bin/python
export PYTHON311

.PHONY: demo test test-slow test-stacks lint format figures audit install lock clean

demo: install
	$(PYTHON) training/demo.py --run-dir $(DEMO) --seed $(SEED)

test: install
	$(PYTHON) -m pytest -m "not slow" -n 2 --dist loadfile tests

# What make test leaves out.
test-slow: install
	$(PYTHON) -m pytest -m slow -n 2 --dist loadfile tests

# Files made on one stack, read on the other.
test-stacks:
	$(MAKE) install TF=2.15
	$(MAKE) install TF=current
	$(PYTHON) -m pytest -m slow tests/test_stacks.py

# The paper's figures, redrawn from the run that comes with the program, into docs/pictures.
figures: install
	$(PYTHON) benchmarks/figures.py

lint: install
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

format: install
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

# Known vulnerabilities of what the locks pin; 3 in place of 0 or 1 says that no database answered.
audit:
	sh scripts/audit.sh

install: $(VENV)/.installed

$(VENV)/.installed: $(LOCK)
	sh scripts/install.sh $(VENV) $(LOCK) $(PYTHONS)
	touch $@

# Needs uv. The locks hold names, versions and hashes only.
RESOLVE := uv pip compile --quiet --generate-hashes --no-emit-index-url --python-version 3.11 --universal
lock:
	$(RESOLVE) -o requirements.lock requirements.txt requirements-dev.txt > /dev/null
	$(RESOLVE) -o requirements-current.lock requirements-current.txt requirements-dev.txt > /dev/null
	$(RESOLVE) -o requirements-audit.lock requirements-audit.txt > /dev/null

clean:
	rm -rf .venv .venv-current .venv-audit .pytest_cache .ruff_cache
