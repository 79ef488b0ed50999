# Two commands: `make up` runs everything, `make test` proves it. `make help` lists the rest.
SHELL := /bin/bash
UV := .uv/bin/uv
RUN := .venv/bin
# Debian's own Python is used as it is; uv may only fetch one where the system's is too old (macOS).
ifeq ($(shell uname -s),Linux)
export UV_PYTHON_DOWNLOADS := never
endif
# Trust whom the system trusts, as every other program here does.
export UV_SYSTEM_CERTS := 1
# An index from the environment would rewrite the lock file; installs are frozen and need none of it.
LOCK_ENV := env -u UV_DEFAULT_INDEX -u UV_INDEX -u UV_INDEX_URL

# Where the environment forbids Python to keep what it compiled, each of some hundred processes compiles all anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help up test test-fast test-long check format bench demo screenshots lock program tools venv clean develop upgrade resetdb

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

up: program ## Run the whole system on http://localhost:5000 and build a first project
	@exec $(RUN)/changes up

test: venv system-packages ## Run the whole suite (under 10 minutes)
	$(RUN)/pytest -n 3 --dist loadfile -m "not long"

FAST := base people projects builds results vcs agent
test-fast: tools ## Run the fast half, about a minute: rules, formats, verbs, house rules
	$(RUN)/pytest -n 2 tests/test_house_rules.py $(FAST:%=tests/%) -m "not long and not system and not packages and not front_end and not slow" $(PYTEST_FLAGS)

test-long: venv ## Run the long ones: chaos, brokers, big data
	@sh scripts/have-packages long
	$(RUN)/pytest -m long

check: venv ## Formatting, lint, types, import contracts, house rules
	$(RUN)/ruff format --check --quiet .
	$(RUN)/ruff check --quiet .
	$(RUN)/lint-imports --no-logo > /tmp/changes-contracts.$$$$ 2>&1 || { cat /tmp/changes-contracts.$$$$; rm -f /tmp/changes-contracts.$$$$; exit 1; }; rm -f /tmp/changes-contracts.$$$$
	$(RUN)/mypy
	$(RUN)/pytest -q --no-header --no-database --durations=0 --durations-min=5 tests/test_house_rules.py

format: venv ## Format and mend what can be mended
	$(RUN)/ruff check --fix --quiet . ; $(RUN)/ruff format --quiet .

demo: venv ## Run the system on ~/.changes-demo with sample data and builds that go on
	@CHANGES_HOME=$${CHANGES_HOME:-$$HOME/.changes-demo} exec $(RUN)/changes demo

bench: venv ## Print each figure as a ratio to a peer or a bare limit
	$(RUN)/python -m bench

screenshots: venv system-packages ## Take the pictures of the docs anew; ALL=folder: sheets of every page
	$(RUN)/python -m tests.browser.screenshots $(if $(ALL),--all $(ALL))

lock: $(UV) ## Resolve the dependencies anew
	$(LOCK_ENV) $(UV) lock

# Only what running needs, beside whatever is installed already.
program: $(UV)
	@[ -x .venv/bin/python ] || echo "Installing the locked dependencies into .venv ..." >&2
	@$(UV) sync --frozen --quiet --inexact --all-extras --no-default-groups --group build
	@$(RUN)/python hatch_build.py

# What the fast tests need: no browser, no front end.
tools: $(UV)
	@[ -x .venv/bin/python ] || echo "Installing the locked dependencies into .venv ..." >&2
	@$(UV) sync --frozen --quiet --inexact --all-extras --no-default-groups --group dev

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
