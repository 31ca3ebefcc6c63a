# make demo: see it run. make test: everything. make check: lint, types, layers, fast tests. The rest: install serve bench docs package.
PYTHON ?= python3.11
BIN := .venv/bin

.PHONY: demo install test test-slow check serve bench docs package clean

demo: .venv/core
	$(BIN)/loom warm
	$(BIN)/loom demo

install: .venv/test

test: .venv/test .venv/system check
	$(BIN)/pytest -m slow

test-slow: .venv/test .venv/system
	$(BIN)/pytest -m slow

check: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -n 2 --dist loadfile

serve: .venv/core
	$(BIN)/loom serve

bench: .venv/test
	$(BIN)/loom bench

docs: .venv/test
	$(BIN)/pytest -m "slow or not slow" tests/test_docs.py

package: .venv/test
	$(BIN)/python -m pip wheel --no-deps --wheel-dir dist .

clean:
	rm -rf .venv build dist

.venv/core: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/test: .venv/core
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

.venv/system:
	.ci/system
	touch $@
