# make demo: set up, train, evaluate, export and predict on the built-in simulator.
# make test: set up and run the tests.  make lint: formatting and lint.  make install: set up only.
VENV := .venv
PYTHON := $(VENV)/bin/python
SEED ?= 0
export PYTHON311

.PHONY: demo test test-slow lint format install lock clean

demo: install
	$(PYTHON) training/demo.py --run-dir runs/demo --seed $(SEED)

test: install
	$(PYTHON) -m pytest -m "not slow" -n 2 --dist loadfile tests

# What make test leaves out.
test-slow: install
	$(PYTHON) -m pytest -m slow -n 2 --dist loadfile tests

lint: install
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

format: install
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

install: $(VENV)/.installed

$(VENV)/.installed: requirements.lock
	sh scripts/install.sh $(VENV)
	touch $@

# Needs uv; the lock holds names, versions and hashes only.
lock:
	uv pip compile --generate-hashes --no-emit-index-url --python-version 3.11 --universal \
		-o requirements.lock requirements-dev.txt

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache
