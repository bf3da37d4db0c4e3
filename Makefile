# install: .venv with pinned, hash-checked packages.  demo: the main job.  test: everything that must hold.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: install demo test check lint types unit bench golden lock system clean

install: $(VENV)/.installed

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed (PYTHON=/path/to/python3.11 make install)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

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
	$(BIN)/python -m pytest -n 2

bench: install
	$(BIN)/python -m tests.bench

golden: install
	$(BIN)/python -m pytest tests/test_rules.py tests/test_coverage.py -k "case or recorded" --golden -q

lock:
	$(BIN)/python -m uv pip compile pyproject.toml --all-extras --generate-hashes --python-version 3.11 --no-header -o requirements.lock

system:
	sh .ci/system-packages

clean:
	rm -rf $(VENV) out .mypy_cache .ruff_cache .pytest_cache
