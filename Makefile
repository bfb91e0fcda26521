# tidegauge: `make help` lists the targets.

PYTHON ?= python3
VENV   ?= .venv
ARGS   ?=
BENCH  ?=
SECONDS ?= 300
SEED   ?= 1
PEERS  ?= .venv-peers
PARITY ?= .venv-parity
# How torch is installed for `make parity`. On Linux this one comes with gigabytes for GPUs; the
# CPU build is enough, wherever you have it: TORCH="torch --index-url ADDRESS"
TORCH  ?= --require-hashes -r requirements/torch.txt

BIN := $(VENV)/bin
PIP := $(BIN)/pip --quiet --disable-pip-version-check --no-input
# Two distributions: the probes alone, and the service, which needs them.
PROJECTS := pyproject.toml probes/pyproject.toml
# --no-build-isolation: the pinned build backend is in the requirements, nothing else is fetched.
SELF := --no-deps --no-build-isolation --editable ./probes --editable .
INSTALL_SELF := $(PIP) install $(SELF)
LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-annotate --no-header \
	--no-emit-index-url --no-emit-package tidegauge-probes
COMPILE := $(LOCK) --python-version 3.11 --fork-strategy fewest

# A benchmark is a module or a package of its own.
BENCHES := $(basename $(notdir $(wildcard benchmarks/[!_]*.py))) \
	$(notdir $(patsubst %/__main__.py,%,$(wildcard benchmarks/*/__main__.py)))

# What the targets say goes to standard error: the demo's and the benchmarks' output is data.
SAY := >&2 echo

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test parity crash lint bench bench-peers lock dashboards clean

help: ## Show the targets
	@echo "make TARGET [ARGS=\"...\"] [PYTHON=python3.12]"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

demo: $(VENV)/.stamp-run ## Show the main job with nothing but Python (ARGS="--once --json")
	@$(BIN)/tidegauge demo $(ARGS)

test: $(VENV)/.stamp-dev ## Run the tests (ARGS="-k name")
	$(BIN)/python -m pytest $(ARGS)

parity: $(PARITY)/.stamp ## Test beside the real Snorkel, torch and spaCy: 3 GB to fetch (PARITY=folder)
	TIDEGAUGE_PARITY=1 $(PARITY)/bin/python -m pytest \
		tests/parity tests/probes/labeling/test_snorkel.py tests/snorkel_stub $(ARGS)

crash: $(VENV)/.stamp-dev ## Prove exactness under faults (SECONDS=3600 SEED=1); the last line is a JSON object
	@$(BIN)/python -m tests.crash --seconds $(SECONDS) --seed $(SEED) $(ARGS)

lint: $(VENV)/.stamp-dev ## Check style, types and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(wildcard service probes alerts dashboards tests benchmarks examples)
	$(BIN)/mypy --python-version 3.10 --no-warn-return-any --cache-dir .mypy_cache/oldest probes
	PYTHONPATH=service:probes:alerts:dashboards $(BIN)/lint-imports

bench: $(VENV)/.stamp-dev ## Run the benchmarks, or one (BENCH=name); the last line is a JSON object
	@for name in $(or $(BENCH),$(BENCHES)); do \
		echo "benchmark: $$name" >&2; \
		$(BIN)/python -m "benchmarks.$$name" $(ARGS) || exit 1; \
	done

bench-peers: $(VENV)/.stamp-dev ## Run the detection benchmark beside other tools (PEERS=folder)
	@$(BIN)/python -m benchmarks.detection --peers $(PEERS) $(ARGS)

# New versions: make lock ARGS=--upgrade
# probes.txt begins as a copy of run.txt, since uv prefers the versions that a file already holds:
# so it has the same ones, and others for Python 3.10 only.
lock: $(VENV)/.stamp-dev ## Pin the requirements again, with hashes (ARGS=--upgrade)
	$(PIP) install 'uv>=0.9,<1'
	$(COMPILE) $(ARGS) pyproject.toml --extra avro --extra calendar -o requirements/run.txt >/dev/null
	cp requirements/run.txt requirements/probes.txt
	$(LOCK) --python-version 3.10 probes/pyproject.toml --extra analysis --extra statistics \
		-o requirements/probes.txt >/dev/null
	$(COMPILE) $(ARGS) pyproject.toml --extra avro --extra calendar --group dev -c requirements/run.txt \
		-o requirements/dev.txt >/dev/null
	$(COMPILE) $(ARGS) --group pyproject.toml:build -c requirements/dev.txt \
		-o requirements/build.txt >/dev/null
	$(COMPILE) $(ARGS) --no-deps requirements/snorkel.in -o requirements/snorkel.txt >/dev/null
	$(COMPILE) $(ARGS) pyproject.toml --extra avro --extra calendar --extra nlp --group parity \
		-c requirements/dev.txt -o requirements/parity.txt >/dev/null
	$(COMPILE) $(ARGS) --group pyproject.toml:torch -c requirements/parity.txt \
		-o requirements/torch.txt >/dev/null

dashboards: $(VENV)/.stamp-dev ## Generate the Grafana dashboards and Prometheus rules again
	$(BIN)/python -m tidegauge_dashboards.generate $(ARGS)

clean: ## Remove the virtual environment, caches and build results
	rm -rf $(VENV) $(PEERS) $(PARITY) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

# -- The virtual environment: one stamp per thing installed, so that a second run is quick --------

$(VENV)/.stamp-venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		$(SAY) "tidegauge needs Python 3.11 or newer; '$(PYTHON)' is not." \
			"Name another: make demo PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) >&2 || { rm -rf $(VENV); \
		$(SAY) "No virtual environment could be made." \
			"On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@touch $@

$(VENV)/.stamp-run: $(VENV)/.stamp-venv requirements/run.txt requirements/build.txt $(PROJECTS)
	@$(SAY) "Installing tidegauge into $(VENV) (once, a minute or two) ..."
	@$(PIP) install --require-hashes -r requirements/build.txt -r requirements/run.txt >&2
	@$(INSTALL_SELF) >&2
	@touch $@

$(VENV)/.stamp-dev: $(VENV)/.stamp-venv requirements/dev.txt requirements/snorkel.txt $(PROJECTS)
	@$(SAY) "Installing tidegauge and its development tools into $(VENV) (once) ..."
	@$(PIP) install --require-hashes -r requirements/dev.txt >&2
	@$(PIP) install --require-hashes --no-deps -r requirements/snorkel.txt >&2
	@$(INSTALL_SELF) >&2
	@touch $@

# Beside the other one: what tidegauge itself needs must not be mixed with Snorkel's torch.
PARITY_REQUIREMENTS := requirements/parity.txt requirements/torch.txt requirements/snorkel.txt
PARITY_PIP := $(PARITY)/bin/pip --quiet --disable-pip-version-check --no-input install

$(PARITY)/.stamp: $(PARITY_REQUIREMENTS) $(PROJECTS)
	@$(SAY) "Installing tidegauge, Snorkel, torch and spaCy into $(PARITY) (once, some minutes) ..."
	@$(PYTHON) -m venv $(PARITY) >&2
	@$(PARITY_PIP) --require-hashes -r requirements/parity.txt >&2
	@$(PARITY_PIP) $(TORCH) >&2
	@$(PARITY_PIP) --require-hashes --no-deps -r requirements/snorkel.txt >&2
	@$(PARITY_PIP) $(SELF) >&2
	@touch $@
