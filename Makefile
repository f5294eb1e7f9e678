# The only entry a newcomer needs: `make demo` shows the product at work, `make test` proves it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

CARGO ?= cargo
# `make demo KEEP=1` leaves the demo's site running.
KEEP ?=
# `make bench BENCH="--quick"` passes options to the benchmarks.
BENCH ?=
CONSOLE := cloud-side/console
CONSOLE_SOURCES := $(shell find $(CONSOLE)/src $(CONSOLE)/public -type f) \
	$(addprefix $(CONSOLE)/,index.html package.json tsconfig.json vite.config.ts)

.PHONY: help setup packages image schemathesis console console-check build release lint test demo demo-failover screenshots bench soak planted clean-cache

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: packages image schemathesis ## install what is missing and build the demo's disk, once

packages:
	@tests/setup/packages.sh

image: packages
	@tests/demo-disk/build.sh >/dev/null

schemathesis: packages
	@tests/schemathesis/setup.sh >/dev/null

console: $(CONSOLE)/dist/index.html ## build the web console, which the program embeds

# Node's absence is said before npm says it in its own words.
$(CONSOLE)/node_modules/.package-lock.json: $(CONSOLE)/package-lock.json
	@tests/setup/node.sh
	cd $(CONSOLE) && npm ci --no-audit --no-fund
	@touch $@

$(CONSOLE)/dist/index.html: $(CONSOLE)/node_modules/.package-lock.json $(CONSOLE_SOURCES)
	@tests/setup/node.sh
	cd $(CONSOLE) && npm run build

console-check: console ## the console's types, lints and tests
	cd $(CONSOLE) && npm run check && npm test

build: console ## compile everything, quick to build
	$(CARGO) build --workspace

release: console ## compile the program as it is used
	$(CARGO) build --release

lint: ## formatting and lints, warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings

# Programs and tests are built together: built apart, the dependencies they share would be compiled
# twice, with and without what only tests need of them.
test: setup console-check lint ## set-up, lint and the whole test suite
	$(CARGO) build --workspace --bins --tests
	@if $(CARGO) nextest --version >/dev/null 2>&1; then $(CARGO) nextest run --workspace; \
	else echo "test: cargo-nextest is absent, using cargo test (no time limit for a hung test)"; $(CARGO) test --workspace; fi
	@echo "make test: passed (set-up, lint, whole test suite)"

demo: setup console ## the main job on one machine, from a disk write to a booted replica; KEEP=1 leaves it up
	$(CARGO) build --release
	KEEP=$(KEEP) tests/demo/run.sh

demo-failover: setup console ## production to the target at a chosen instant, work there, and home again
	$(CARGO) build --release
	tests/demo/run.sh --failover

screenshots: packages console ## a picture of every page of the console, from a live lab, in target/screenshots
	$(CARGO) build --release --package bcdr --package bcdr-tests --bin bcdr --bin screenshots
	target/release/screenshots target/screenshots

# The program measured is the one of this build, so both are built. BENCH="--quick" takes a look.
bench: setup console ## speed and recovery-point figures, beside those of peers
	$(CARGO) build --release
	$(CARGO) run --release -p bcdr-benches -- $(BENCH)

# The end-to-end tests read BCDR_ROUNDS: how often each random round is repeated. BCDR_API_SECONDS is how long
# schemathesis asks the API as each of the six roles.
soak: setup build ## the end-to-end tests with many more rounds than `make test`
	BCDR_ROUNDS=$${BCDR_ROUNDS:-50} BCDR_API_SECONDS=$${BCDR_API_SECONDS:-600} $(CARGO) nextest run --profile soak -p bcdr-tests

planted: ## plants known bugs one by one and expects the suite to catch each
	tests/planted/run.sh

clean-cache: ## remove the cached demo disk and schemathesis
	rm -rf "$${XDG_CACHE_HOME:-$$HOME/.cache}/bcdr/"{demo-disk,schemathesis}
