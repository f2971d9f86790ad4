# Everything a developer types. Each target installs what it needs into .venv.
# The system's Python, which operators run, where it can make an environment (docs/decisions/0038).
PYTHON ?= $(shell /usr/bin/python3 -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' \
	2> /dev/null && echo /usr/bin/python3 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
# Debian has what makes an environment in a package of its own: root gets it, others are told.
ENVIRONMENT = test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) || { \
	test $$(id -u) = 0 && apt-get update -qq && apt-get install -qq -y python3-venv \
	&& $(PYTHON) -m venv $(VENV); } || { echo "missing: apt install python3-venv" >&2; exit 1; }
# Python keeps what it compiles, whatever the environment says: each process of tests would compile
# 1,100 modules anew, and each daemon that a test starts 400.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest
# Tests wait for a quarter of their time, for a process to start or a period to pass: so many of them
# at a time for every two cores, four at most, each with 2 GB, of which tokenizers take one. In the
# order of their names: files of a few long tests are not the last, and those of many short ones fill
# the end.
beside = --numprocesses $(shell awk -v n=$$(($$(nproc) * $(1) / 2)) '/^MemTotal/ { m = int($$2 / 2000000); \
	if (m < n) n = m; if (n > 4) n = 4; if (n < 1) n = 1; print n }' /proc/meminfo) \
	--dist loadfile --no-loadscope-reorder

.PHONY: run test test-long test-browser browser test-node test-packages test-systemd check types style layers house bench bench-peers cover lock deb clean

run: $(VENV)/run.stamp
	$(BIN)/relayd demo

# A file's tests stay in one process: some share what took long to make.
test: $(VENV)/dev.stamp
	PYTHONASYNCIODEBUG=1 $(PYTEST) $(call beside,3)

# 100 kills, 60 restarts under load, power cuts, 10,000 failing calls, 100,000 cuttings of texts.
test-long: $(VENV)/dev.stamp
	RELAYD_LONG=1 RELAYD_CUTTINGS=100000 $(PYTEST) -s tests/long tests/relay/test_count.py

# The console in Debian's Chromium, which it installs where it may (root); axe-core comes from npm.
# Most tests are in one file: each process has a browser and a relay, and takes those that are left.
test-browser: browser
	$(PYTEST) $(call beside,2) --dist worksteal tests/browser

browser: $(VENV)/browser.stamp
	command -v chromium > /dev/null || { apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium fonts-wqy-microhei; }

# The Node SDKs and agents, on a Node of the environment's own.
test-node: $(VENV)/node.stamp
	cd tests/node && export PATH="$(CURDIR)/$(BIN):$$PATH" && npm ci --no-audit --no-fund && node --test --test-concurrency=1

# What is shipped, installed as users do it: from the lock, in a fresh Debian (root, debootstrap), as
# an image (buildah).
test-packages: $(VENV)/dev.stamp
	RELAYD_PACKAGES=1 $(PYTEST) tests/packages

# The unit under a real systemd in a root of its own (root, debootstrap, systemd-nspawn).
test-systemd: $(VENV)/dev.stamp
	RELAYD_NSPAWN=1 $(PYTEST) tests/systemd

# Side by side: mypy has one thread alone.
check: $(VENV)/dev.stamp
	$(MAKE) --no-print-directory --jobs 2 --keep-going --output-sync types style layers house

types: $(VENV)/dev.stamp
	$(BIN)/mypy

style: $(VENV)/dev.stamp
	$(BIN)/flake8 relayd tests bench tools

layers: $(VENV)/dev.stamp
	$(BIN)/lint-imports

house: $(VENV)/dev.stamp
	$(PYTEST) -q tests/house

cover: $(VENV)/dev.stamp
	$(PYTEST) $(call beside,3) --cov --cov-report=term-missing

bench: $(VENV)/bench.stamp
	$(BIN)/python -m bench

# Beside other proxies and gateways, which it installs into ~/.cache/relayd-bench (about 2 GB).
bench-peers: $(VENV)/bench.stamp
	$(BIN)/python -m bench.gateways --install
	$(BIN)/python -m bench.gateways

# Writes requirements.lock, sbom.cdx.json and relayd/ops/dependencies.toml.
lock: $(VENV)/dev.stamp
	$(BIN)/python -m tools.lock

# dist/relayd_VERSION_ARCH.deb, for the Debian that it is built on.
deb: $(VENV)/dev.stamp
	$(BIN)/python -m tools.deb

$(VENV)/run.stamp: setup.cfg pyproject.toml
	$(ENVIRONMENT)
	$(BIN)/pip install -q --disable-pip-version-check -e .
	touch $@

$(VENV)/dev.stamp: setup.cfg pyproject.toml
	$(ENVIRONMENT)
	$(BIN)/pip install -q --disable-pip-version-check -e '.[test,check]'
	touch $@ $(VENV)/run.stamp

$(VENV)/browser.stamp: $(VENV)/dev.stamp setup.cfg tests/browser/package-lock.json
	$(BIN)/pip install -q --disable-pip-version-check -e '.[test,browser]'
	cd tests/browser && npm ci --no-audit --no-fund
	touch $@

$(VENV)/node.stamp: $(VENV)/dev.stamp setup.cfg
	$(BIN)/pip install -q --disable-pip-version-check -e '.[test,node]'
	touch $@

$(VENV)/bench.stamp: setup.cfg pyproject.toml
	$(ENVIRONMENT)
	$(BIN)/pip install -q --disable-pip-version-check -e '.[bench]'
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info relayd-data
