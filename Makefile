# install: .venv with pinned, hash-checked packages.  engine: Pulumi from source, once.  demo: the main job.  test: everything that must hold.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

# the small client's suite on one throw-away host of this machine (root, Debian 12); `suite-demo-down` ends it
suite-demo: install
	sh .ci/system-packages
	$(BIN)/python molecule/demo.py up out/suite || test $$? -eq 3

# the same with every application, where their archives can be had: ARTEFACTS=https://mirror.example.org, or nothing for the makers' own
suite-real: install
	sh .ci/system-packages
	ARTEFACTS='$(ARTEFACTS)' $(BIN)/python molecule/demo.py real out/suite-real

suite-demo-down: install
	$(BIN)/python molecule/demo.py down

molecule: install
	sh .ci/system-packages
	PYTHON=$(BIN)/python sh .ci/molecule $(SCENARIOS)

.PHONY: suite-demo suite-real suite-demo-down molecule install engine demo test check lint types unit bench golden lock system clean lab-up lab-down lab-status lab-purge lab-tests

install: $(VENV)/.installed

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed (PYTHON=/path/to/python3.11 make install)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	sed -n '/^uv==/,/^ *#/p' requirements.lock > $(VENV)/uv.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

engine:
	@$(PYTHON) engine/build.py

demo: install
	$(BIN)/repatria demo out/demo || test $$? -eq 3

test: install
	PYTHON=$(BIN)/python sh .ci/tests

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

check: lint types

unit: install
	$(BIN)/python -m pytest -n 2 --dist loadfile

# the rooms' own tests on a lab: half an hour on a quiet machine; those of the servers need LAB=--boxes
lab-tests: install
	$(BIN)/repatria lab up $(LAB)
	REPATRIA_LAB=$${REPATRIA_LAB:-/var/lib/repatria/lab} $(BIN)/python -m pytest -n 2 -m lab --ignore tests/e2e

bench: install
	$(BIN)/python -m tests.bench

golden: install
	$(BIN)/python -m pytest tests/test_rules.py tests/test_coverage.py tests/test_suite_readmes.py -k "case or recorded" --golden -q

lock:
	$(BIN)/python -m uv pip compile pyproject.toml --all-extras --generate-hashes --python-version 3.11 --no-header -o requirements.lock

system:
	sh .ci/system-packages

# LAB='--like ovhcloud --boxes' gives it a face; REPATRIA_LAB names its folder
lab-up: install
	$(BIN)/repatria lab up $(LAB)

lab-down: install
	$(BIN)/repatria lab down

lab-status: install
	$(BIN)/repatria lab status

lab-purge: install
	$(BIN)/repatria lab purge

clean:
	rm -rf $(VENV) out .mypy_cache .ruff_cache .pytest_cache
