# Everything a newcomer types. Python 3.11 or newer is all that has to be there before.
PYTHON ?= python3
BIN := .venv/bin
DEMO_ARGS ?=
TEST_ARGS ?= --numprocesses 3 --dist loadfile
ENVIRONMENTS ?= lowest newest core
BENCH_ARGS ?= all --json benchmarks/results --plot benchmarks/results
PROJECTS := $(wildcard plugins/*/pyproject.toml benchmarks/pyproject.toml)

.PHONY: setup demo docs test environments dist version tag lint types mypy pyright bench clean

setup: .venv/ready

# Rebuilt when a dependency changes; an editable install sees the code's changes by itself.
.venv/ready: pyproject.toml constraints.txt $(PROJECTS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "livelayer-bus needs Python 3.11 or newer: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt \
		-e '.[cli,telemetry]' $(addprefix -e ./,$(patsubst %/pyproject.toml,%,$(PROJECTS))) \
		--group docs --group lint --group types --group test --group peers --group release
	@touch $@

demo: setup
	$(BIN)/livelayer demo $(DEMO_ARGS)

# Built without a network, and only if something has changed; a warning is an error.
docs: setup
	$(BIN)/python -m docs.generator

test: setup .venv/programs
	$(BIN)/python -m pytest $(TEST_ARGS)

# Tried once for each environment; tests that need a browser or a proxy skip where there is none.
.venv/programs: .venv/ready tests/programs.py
	@$(BIN)/python -m tests.programs
	@touch $@

# The wheels with the oldest dependencies that are allowed, and the newest, each in an environment
# of its own.
environments: setup
	$(BIN)/python -m tests.environments $(ENVIRONMENTS)

# Wheels and sdists of every distribution, their metadata checked.
dist: setup
	rm -rf dist
	$(BIN)/python -m tests.distributions build dist

# make version VERSION=0.2.0: the next version, of every distribution.
version: setup
	$(BIN)/python -m tests.distributions version $(VERSION)

# make tag TAG=v0.2.0: whether a release may have this tag.
tag: setup
	@$(BIN)/python -m tests.distributions tag $(TAG)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: mypy pyright

mypy: setup
	$(BIN)/mypy
	for project in plugins/*/src; do $(BIN)/mypy $${project%/src} || exit 1; done

pyright: setup
	$(BIN)/pyright

bench: setup
	$(BIN)/livelayer bench $(BENCH_ARGS)

clean:
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
