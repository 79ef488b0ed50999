# Two commands: `make up` runs everything, `make test` proves it. `make help` lists the rest.
SHELL := /bin/bash
UV := .uv/bin/uv
RUN := .venv/bin
# Debian's own Python is used as it is; uv may only fetch one where the system's is too old (macOS).
ifeq ($(shell uname -s),Linux)
export UV_PYTHON_DOWNLOADS := never
endif
# An index from the environment would rewrite the lock file; installs are frozen and need none of it.
LOCK_ENV := env -u UV_DEFAULT_INDEX -u UV_INDEX -u UV_INDEX_URL

.PHONY: help up test test-fast test-long check format bench demo docs lock venv front-end clean develop upgrade resetdb

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

up: venv ## Run the whole system on http://localhost:5000 and build a first project
	@exec $(RUN)/changes up

test: venv system-packages ## Run the whole suite (under 10 minutes)
	$(RUN)/pytest -n 2 -m "not long"

test-fast: venv ## Run what needs no server: rules, formats, verbs, house rules
	$(RUN)/pytest -n 2 -m "not long and not system" $(PYTEST_FLAGS)

test-long: venv system-packages ## Run the long ones: chaos, brokers, big data
	$(RUN)/pytest -m long

check: venv ## Formatting, lint, types, import contracts, house rules
	$(RUN)/ruff format --check --quiet .
	$(RUN)/ruff check --quiet .
	$(RUN)/lint-imports --no-logo > /tmp/changes-contracts.$$$$ 2>&1 || { cat /tmp/changes-contracts.$$$$; rm -f /tmp/changes-contracts.$$$$; exit 1; }; rm -f /tmp/changes-contracts.$$$$
	$(RUN)/mypy
	$(RUN)/pytest -q --no-header --no-database --durations=0 --durations-min=5 tests/test_house_rules.py

format: venv ## Format and mend what can be mended
	$(RUN)/ruff check --fix --quiet . ; $(RUN)/ruff format --quiet .

bench: venv ## Print each figure as a ratio to a peer or a bare limit
	$(RUN)/python -m bench

lock: $(UV) ## Resolve the dependencies anew
	$(LOCK_ENV) $(UV) lock

venv: $(UV)
	@[ -x .venv/bin/python ] || echo "Installing the locked dependencies into .venv ..." >&2
	@$(UV) sync --frozen --quiet --all-extras
	@$(RUN)/python hatch_build.py

$(UV):
	@sh scripts/have-venv
	@echo "Installing uv into .uv ..." >&2
	@python3 -m venv .uv
	@.uv/bin/python -m pip install --quiet --disable-pip-version-check 'uv==0.13.8'

.PHONY: system-packages
system-packages:
	@sh scripts/have-packages

clean: ## Remove everything made by make
	rm -rf .uv .venv node_modules src/changes/web/static dist

# What people who knew the original Changes type.
develop: venv
upgrade: venv
	$(RUN)/changes db upgrade
resetdb: venv
	$(RUN)/changes db reset
