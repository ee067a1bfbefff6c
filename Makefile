# All commands for working on this repository. `make help` lists them.
#
# The environment is made in two steps. Each has a stamp file, which is newer than the pins that it was made from:
#   .venv/.runtime  the service and its dependencies: enough for `make demo` and `make run`
#   .venv/.dev      the additional dependencies of the checks
# Changed pins are installed by the next target that needs them. All versions and hashes are in requirements/.
#
# PYTHON=python3.12  makes the environment with that Python (3.11 or later) instead of the newest one found
# ARGS='…'           is passed on to the command of demo, run, servers, test, test-slow, faults, proof, model and bench

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:

# The version of uv, which only `make requirements` installs.
UV_VERSION := 0.13.9
# `make requirements UPGRADE=--upgrade` moves every pin to the newest release. Without it, pins stay if they still fit.
UPGRADE ?=

export PYTHON
# The tests start some thousand processes. With this variable set, each one would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE
PIP := .venv/bin/python -m pip --disable-pip-version-check --quiet
PIN = .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate $(UPGRADE)

.PHONY: help demo run screenshots servers test test-slow faults proof model check format format-check lint types imports bench requirements vendor supply-chain clients .venv clean

help: ## list the targets
	@awk -F ':.*## ' '/^[.a-z-]+:.*## / { printf "%-14s %s\n", $$1, $$2 }' Makefile

demo: .venv/.runtime ## rehearse a flash sale on a fresh server and print the verdict
	.venv/bin/flashreserve rehearse --demo $(ARGS)

run: .venv/.runtime ## serve on the embedded engine, with data in ./data
	.venv/bin/flashreserve serve $(ARGS)

servers: ## install the database servers that tests start by themselves (Debian, as root; elsewhere a mongod on PATH does)
	@if [ -n "$$TESTS_MONGODB_URL" ] || command -v mongod > /dev/null; then \
		echo "A MongoDB server is there already: nothing to install."; \
	else tools/mongodb_server.sh install $(ARGS); fi

test: .venv/.dev ## run the tests, without the slow ones (those of the clustered engine need `make servers` or a mongod)
	tools/run_tests.sh "not slow" $(ARGS)

test-slow: .venv/.dev ## run the tests marked slow
	tools/run_tests.sh slow $(ARGS)

faults: .venv/.dev ## let processes, servers, links, disks and clocks fail under load, at full size (ROUNDS=20 FOR=180 seconds)
	FAULT_ROUNDS=$(or $(ROUNDS),20) FAULT_SECONDS=$(or $(FOR),180) .venv/bin/pytest -m slow -rP tests/faults $(ARGS)

proof: .venv/.dev ## play seeds of the simulation, and mistakes that it has to notice (SIZE=full: 200,000 seeds, resumable)
	.venv/bin/python -m tests.simulation.proof --size $(or $(SIZE),small) $(ARGS)

model: .venv/.dev ## explore every state of the MongoDB protocols' models (SIZE=full: at full size, in twenty minutes)
	.venv/bin/python -m model --size $(or $(SIZE),small) $(ARGS)

check: format-check lint types imports test ## run all checks: format, lint, types, import rules, tests

format: .venv/.dev ## rewrite the sources in the project's format
	.venv/bin/ruff check --select I --fix
	.venv/bin/ruff format

format-check: .venv/.dev ## check the format
	.venv/bin/ruff format --check

lint: .venv/.dev ## check the lint rules
	.venv/bin/ruff check

types: .venv/.dev ## check the types
	.venv/bin/mypy

imports: .venv/.dev ## check that imports point one way
	.venv/bin/lint-imports

bench: .venv/.dev ## measure FlashReserve, the bare server and peers, and write docs/performance.md (--size full, --only …)
	.venv/bin/python -m bench.run --write $(ARGS)

requirements: .venv/.dev ## pin the dependencies of pyproject.toml anew (UPGRADE=--upgrade for the newest)
	$(PIP) install "uv==$(UV_VERSION)"
	$(PIN) pyproject.toml --output-file requirements/runtime.txt
	printf 'hatchling\neditables\n' | $(PIN) - --constraints requirements/runtime.txt --output-file requirements/build.txt
	$(PIN) --group dev --constraints requirements/runtime.txt --constraints requirements/build.txt \
		--output-file requirements/dev.txt
	$(PIN) --group supply-chain --constraints requirements/runtime.txt --constraints requirements/build.txt \
		--constraints requirements/dev.txt --output-file requirements/supply-chain.txt
	$(PIN) --group clients --constraints requirements/runtime.txt --constraints requirements/build.txt \
		--constraints requirements/dev.txt --constraints requirements/supply-chain.txt \
		--output-file requirements/clients.txt

screenshots: .venv/.dev ## take screenshots of all pages: build/screens, and docs/screens for the docs (needs Chromium)
	.venv/bin/python -m tests.browser.screenshots

vendor: .venv/.runtime ## copy the parts of other projects in the web pages from npm, as tools/vendor pins them (needs Node.js with npm)
	.venv/bin/python tools/vendor.py

supply-chain: .venv/.supply-chain ## list the service's components (SBOM), and look them up among known vulnerabilities
	tools/supply_chain.sh

clients: .venv/.clients ## install the generators of API clients, for the tests of both (needs Node.js with npm)

.venv: .venv/.dev ## make the environment in .venv from the pinned requirements

# ensurepip writes pip last, so if pip exists, the environment is complete.
.venv/bin/pip:
	@python=$$(sh tools/find_python.sh) && echo "Making .venv with $$python …" && "$$python" -m venv .venv

# No compilation here: Python compiles modules when it imports them, and compiling all would delay the first demo.
# No build isolation: it would fetch another build backend than the pinned one. The backend needs editables for an
# editable installation.
.venv/.runtime: pyproject.toml requirements/build.txt requirements/runtime.txt | .venv/bin/pip
	@echo "Installing FlashReserve and what it needs into .venv …"
	@$(PIP) install --no-compile --requirement requirements/build.txt --requirement requirements/runtime.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev: .venv/.runtime requirements/dev.txt
	@echo "Installing what the checks need into .venv …"
	@$(PIP) install --no-compile --requirement requirements/dev.txt
	@touch $@

# A separate environment, because these tools aren't needed to build, run or check the service.
.venv/.supply-chain: requirements/supply-chain.txt | .venv/bin/pip
	@echo "Installing what looks at the components into .venv/supply-chain …"
	@.venv/bin/python -m venv .venv/supply-chain
	@.venv/supply-chain/bin/python -m pip --disable-pip-version-check --quiet install --no-compile --requirement $<
	@touch $@

# Separate environments again: only tests/clients and tests/docs need them. The lock file has no address of a registry,
# so npm asks the one that the machine is set to.
CLIENTS := tests/clients/typescript
.venv/.clients: requirements/clients.txt $(addprefix $(CLIENTS)/,.npmrc package.json package-lock.json) | .venv/bin/pip
	@echo "Installing the generators of API clients into .venv/clients …"
	@.venv/bin/python -m venv .venv/clients/python
	@.venv/clients/python/bin/python -m pip --disable-pip-version-check --quiet install --no-compile --requirement $<
	@mkdir -p .venv/clients/typescript
	@cp $(filter $(CLIENTS)/%,$^) .venv/clients/typescript
	@cd .venv/clients/typescript && npm ci --ignore-scripts --silent
	@touch $@

clean: ## remove caches and build output; .venv and data stay
	rm -rf build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -path ./.venv -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +
