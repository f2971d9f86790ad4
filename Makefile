# Everything a developer types. Each target installs what it needs into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test test-node check bench cover clean

run: $(VENV)/run.stamp
	$(BIN)/relayd demo

test: $(VENV)/dev.stamp
	PYTHONASYNCIODEBUG=1 $(BIN)/python -m pytest

test-node: $(VENV)/dev.stamp
	cd tests/node && npm ci --no-audit --no-fund && PATH="$(CURDIR)/$(BIN):$$PATH" node --test --test-concurrency=1

check: $(VENV)/dev.stamp
	$(BIN)/flake8 relayd tests bench
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/house

cover: $(VENV)/dev.stamp
	$(BIN)/python -m pytest --cov --cov-report=term-missing

bench: $(VENV)/bench.stamp
	$(BIN)/python -m bench

$(VENV)/run.stamp: setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check -e .
	touch $@

$(VENV)/dev.stamp: setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check -e '.[test,check]'
	touch $@ $(VENV)/run.stamp

$(VENV)/bench.stamp: setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check -e '.[bench]'
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info relayd-data
