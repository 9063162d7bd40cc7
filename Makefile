# carelane: the two commands of the README are `make demo` and `make test`; each does its own set-up.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PY := .venv/bin/python
REPORTS ?= reports

.PHONY: help demo test check mypy pyright imports docs format fuzz bench lab-shell lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: ## set-up, then the main job on real packets: declare, plan, program, measure, withdraw
	@scripts/setup.sh demo
	@$(PY) -m carelane lab run zhoushan-consultation --report $(REPORTS)/demo

test: ## set-up, all checks, all tests
	@scripts/setup.sh test
	@$(MAKE) --no-print-directory check
	@$(PY) -m pytest

check: ## format, lint, types, import contracts, documentation
	@.venv/bin/ruff format --check --quiet .
	@.venv/bin/ruff check --quiet .
	@$(MAKE) --no-print-directory -j2 -Otarget mypy pyright imports docs

mypy:
	@MYPYPATH=src .venv/bin/mypy --no-error-summary

pyright:
	@.venv/bin/pyright --warnings

imports:
	@.venv/bin/lint-imports --no-cache > $(or $(TMPDIR),/tmp)/carelane-imports.$$$$ || { cat $(or $(TMPDIR),/tmp)/carelane-imports.$$$$; exit 1; }; rm -f $(or $(TMPDIR),/tmp)/carelane-imports.*

docs: ## the documentation site, warnings as errors: reports/docs/index.html
	@.venv/bin/python -m sphinx -b html -W --keep-going -q -d $(REPORTS)/docs/.doctrees docs $(REPORTS)/docs

format: ## write the code in the house's form
	@.venv/bin/ruff check --fix --quiet .
	@.venv/bin/ruff format --quiet .

fuzz: ## ten minutes of schemathesis on our OpenAPI document and the CAMARA files
	@scripts/setup.sh test
	@CARELANE_FUZZ_SECONDS=600 $(PY) -m pytest tests/contract/test_fuzz.py

bench: ## the benchmarks: a table each, and JSON under reports/bench
	@scripts/setup.sh test
	@missed=; for benchmark in benchmarks/[a-z]*.py; do echo "== $$benchmark"; \
	$(PY) $$benchmark --report $(REPORTS)/bench || missed="$$missed $$benchmark"; done; \
	[ -z "$$missed" ] || { echo "missed what is asked for, or failed:$$missed"; exit 1; }

chaos: ## half an hour of seeded failures in the lab, invariants checked after each step (SEED=n)
	@scripts/setup.sh demo
	@$(PY) -c "from pathlib import Path; from carelane.lab.scenario import register, run; \
	from carelane.lab.scenarios.chaos import Chaos; register(Chaos(seconds=1800)); \
	raise SystemExit(run('chaos', Path('$(REPORTS)/chaos'), seed=$(or $(SEED),1), say=print))"

lab-shell: ## a shell inside a running lab
	@scripts/setup.sh demo
	@$(PY) -m carelane lab shell

lock: ## resolve requirements.lock, and deploy/requirements.lock within it, again (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade \
	  --extra dev --extra lab --extra cluster pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header -c requirements.lock \
	  pyproject.toml -o deploy/requirements.lock

clean: ## remove what builds and tests left
	rm -rf build dist reports .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info src/*.egg-info
