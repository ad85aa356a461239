# `make demo` and `make test` are all a newcomer types; both set up what they need.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv/bin
TESTBED := PYTHONPATH=tests $(VENV)/python -m testbed
WORKERS ?= 2
# Who gives the cluster that tests/cluster runs on: testbed (no container runtime) or kind (Docker).
CLUSTER ?= testbed
export CLUSTER

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup demo test unit browser cluster mesh sample faults provider check lint types arch fmt bench mutants generate check-diff clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

.venv/.done: requirements-dev.lock
	@echo "==> .venv: what the tests and checks need"
	$(PYTHON) -m venv --clear .venv
	$(VENV)/pip install --quiet --require-hashes -r requirements-dev.lock
	$(VENV)/pip install --quiet --no-deps --editable .
	@touch $@

# The operator under test sees what its lock file names and nothing else.
.venv-operator/.done: requirements.lock
	@echo "==> .venv-operator: what the operator needs at run time"
	$(PYTHON) -m venv --clear .venv-operator
	.venv-operator/bin/pip install --quiet --require-hashes -r requirements.lock
	.venv-operator/bin/pip install --quiet --no-deps --editable .
	@touch $@

setup: .venv/.done .venv-operator/.done ## Make the virtual environments from the lock files
	@$(TESTBED) build

demo: setup ## Run the main job on real components (KEEP=1 leaves it running)
	@PYTHONPATH=tests $(VENV)/python -m demo $(if $(KEEP),--keep)

test: provider setup check browser cluster mesh sample ## Every test tier that CI runs (CLUSTER=kind: on kind)

unit: .venv/.done ## Pure tests, in milliseconds
	$(VENV)/python -m pytest tests/unit

browser: .venv/.done ## The page of `agent-identity graph` in a real browser
	$(VENV)/python -m pytest tests/browser

cluster: provider setup ## The operator as a process against the real control plane and OpenBao
	$(VENV)/python -m pytest tests/cluster -n $(WORKERS) --dist loadfile

mesh: setup ## Calls over mTLS through the operator's policies, istiod and Envoy
	$(VENV)/python -m pytest tests/mesh -n $(WORKERS) --dist loadfile

sample: setup ## A sample of the fault campaigns, in a few minutes
	$(VENV)/python -m pytest tests/faults -n $(WORKERS) --dist loadfile

# Each part prints its counts, and every plan that failed by the name that --only takes.
faults: setup ## All fault campaigns; takes about two hours on 2 cores
	@PYTHONPATH=tests $(VENV)/python -m faults crash --clusters $(WORKERS)
	@PYTHONPATH=tests $(VENV)/python -m faults.unseen
	@PYTHONPATH=tests $(VENV)/python -m faults.fields --sequences 120
	@PYTHONPATH=tests $(VENV)/python -m faults.soak

# Before anything is made: a build of ten minutes should not end in this.
provider:
ifeq ($(CLUSTER),kind)
	@said=$$(docker info 2>&1 >/dev/null) || \
		{ echo "CLUSTER=kind needs Docker: \`docker info\` failed: $$said" >&2; exit 1; }
endif

lint: .venv/.done
	$(VENV)/ruff check operator tests
	$(VENV)/ruff format --check operator tests

types: .venv/.done
	$(VENV)/mypy

arch: .venv/.done
	$(VENV)/lint-imports

check: lint types arch unit ## Lint, types, architecture, unit tests

fmt: .venv/.done ## Format and sort imports
	$(VENV)/ruff check --fix-only --quiet operator tests
	$(VENV)/ruff format --quiet operator tests

bench: setup ## Time, requests and memory for up to 5,000 identities, and 200 grants among 2,000
	@PYTHONPATH=tests $(VENV)/python -m bench
	@PYTHONPATH=tests $(VENV)/python -m bench.grants

mutants: setup ## Take each guard out, and see its tests fail (UNIT=1: without servers)
	@PYTHONPATH=tests $(VENV)/python -m mutants $(if $(UNIT),--unit-only)

generate: .venv/.done ## Write the CRDs, the READMEs' tables, and the manifests of the chart
	$(VENV)/python -m agent_identity.api.generate
	PYTHONPATH=tests $(VENV)/python -m chart_docs
	$(TESTBED) run helm template agent-identity charts/agent-identity \
		--namespace agent-identity-system > examples/install/operator.yaml

check-diff: generate ## Fail when something generated is stale
	git diff --exit-code -- crds charts examples README.md

clean: ## Remove the virtual environments
	rm -rf .venv .venv-operator build
