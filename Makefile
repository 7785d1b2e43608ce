# Everything a developer does here. `make help` lists it. Needs Python 3.11 or newer, and make.

# flytekit 1.16 names Python 3.12 as its newest, so a newer one is taken only where there is none of those.
PYTHON ?= $(shell for below in 13 99; do for p in python3 python3.12 python3.11 python3.13 python3.14 python; do \
	"$$p" -c "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, $$below))" 2>/dev/null && \
	{ echo "$$p"; exit; }; done; done)
BIN := .venv/bin
READY := .venv/.ready
UV := $(BIN)/python tools/uv_as_pip.py
INSTALL := $(UV) pip install --quiet

# Where a machine tells Python to keep no compiled modules, every process would compile flytekit anew.
unexport PYTHONDONTWRITEBYTECODE

# flytekit has a default image up to Python 3.12, and stops without one. Ours is never pulled, so any name will do.
export FLYTE_INTERNAL_IMAGE ?= sailplane.local/python:any

.PHONY: help setup fmt lint types test sim fuzz conformance compat e2e protos verify-protos rpc-table lock up demo bench clean
.DEFAULT_GOAL := help

help: ## Say what there is
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(READY) ## Make .venv and install everything from the lock into it

$(READY): requirements.lock build-requirements.lock pyproject.toml sdk/pyproject.toml protos/pyproject.toml \
		protos/generate.py protos/hatch_build.py $(shell find protos/sailplane -name '*.proto')
	@test -n "$(PYTHON)" || { echo "There is no Python 3.11 or newer here. Install one, or say make PYTHON=..."; exit 1; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv .venv || { echo "Python cannot make a virtual environment: on Debian \
	and Ubuntu install python3-venv."; rm -rf .venv; exit 1; }
	@sed -n '/^uv==/,/# via/p' requirements.lock > .venv/uv.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.lock
	$(INSTALL) --require-hashes -r requirements.lock
	$(INSTALL) --no-deps --build-constraints build-requirements.lock -e protos -e sdk -e .
	@touch $@

fmt: $(READY) ## Format the code, and repair what can be repaired
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

lint: $(READY) ## Check style, and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --cache-dir .venv/.import-linter

types: $(READY) ## Check types
	$(BIN)/pyright

test: lint types ## Check everything, then run all tests
	$(BIN)/pytest

sim: $(READY) ## Run seeds of the simulator: SEEDS=1000 [FIRST=0] [JOBS=2], or TRACE=seed to see what happens in one
	PYTHONPATH=tests $(BIN)/python -m sim --seeds $(or $(SEEDS),300) --first $(or $(FIRST),0) \
		$(if $(JOBS),--jobs $(JOBS)) $(if $(TRACE),--trace $(TRACE))

fuzz: $(READY) ## Send every RPC what nobody would send: CASES=10000 of each
	FUZZ_CASES=$(or $(CASES),10000) $(BIN)/pytest tests/wire/test_fuzz.py tests/wire/test_gateway_fuzz.py

conformance: $(READY) ## Run the suites of the ports on all their implementations
	$(BIN)/pytest tests/conformance

compat: $(READY) ## Run stock flytekit against a control plane
	$(BIN)/pytest tests/compat

e2e: $(READY) ## Run what starts a control plane as a user does
	$(BIN)/pytest tests/services/standalone tests/e2e tests/compat

protos: $(READY) ## Generate Python from the .proto files again
	$(INSTALL) --no-deps --build-constraints build-requirements.lock --reinstall-package sailplane-protos -e protos

verify-protos: $(READY) ## Prove that generating twice gives the same, and what is installed
	@rm -rf build/protos
	@for run in 1 2; do \
		mkdir -p build/protos/$$run && cp -R protos/sailplane protos/*.py protos/*.toml protos/README.md build/protos/$$run && \
		$(UV) build --quiet --python $(BIN)/python --wheel --build-constraints build-requirements.lock \
			--out-dir build/protos/$$run/dist build/protos/$$run || exit 1; done
	cmp build/protos/1/dist/*.whl build/protos/2/dist/*.whl
	diff -r -x __pycache__ build/protos/1/python/sailplane_protos protos/python/sailplane_protos

rpc-table: $(READY) ## Write docs/rpcs.md: every RPC with its HTTP path, status and tests
	$(BIN)/python tools/rpc_table.py

lock: $(READY) ## Resolve all dependencies anew
	$(BIN)/python tools/lock.py

up: $(READY) ## Start the embedded control plane; ARGS are its options
	$(BIN)/sailplane up $(ARGS)

demo: $(READY) ## Start a control plane, register and run a workflow, show its outputs, stop
	$(BIN)/python examples/demo.py

bench: $(READY) ## Measure; prints JSON
	$(BIN)/python bench/executions.py
	$(BIN)/python bench/sizes.py

clean: ## Remove what was made here, the virtual environment included
	rm -rf .venv build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache protos/python
	find . -name __pycache__ -prune -exec rm -rf {} +
