# What we type. `make run` and `make test` set everything up first; nothing else is needed.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

# A machine with its own torch (a GPU machine's CUDA build) keeps it: the environment then sees the
# system's packages and torch's pin is left out. Asked of the base Python only, never of a venv.
OWN_TORCH := $(shell $(PYTHON) -c "import sys; sys.prefix == sys.base_prefix or sys.exit(); import torch; v = torch.__version__.split('.'); print('yes' if (int(v[0]), int(v[1])) >= (2, 6) else '')" 2>/dev/null)

# Tests of one file share what they start (a Ray, a server), so files are dealt out whole.
SPREAD := -n logical --maxprocesses 4 --dist loadfile

.PHONY: run setup test test-all check format bench bench-search bench-peers ui golden clean

run: setup  ## answer the first experiment file and show thresholds beside theory
	$(BIN)/phasefront run experiments/quickstart.yaml

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Python 3.11 or newer is needed; try make PYTHON=python3.11')"
ifeq ($(OWN_TORCH),yes)
	$(PYTHON) -m venv --system-site-packages $(VENV)
	grep -v '^torch==' constraints.txt > $(VENV)/constraints.txt
else
	$(PYTHON) -m venv $(VENV)
	cp constraints.txt $(VENV)/constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch -c $(VENV)/constraints.txt
endif
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(VENV)/constraints.txt -e '.[dev]'
	touch $@

test: setup  ## everything that runs in minutes on two cores
	$(BIN)/python -m pytest -q $(SPREAD)

test-all: setup  ## with the slow tiers
	$(BIN)/python -m pytest -q -m "not gpu"

check: setup  ## lint, types, imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup  ## speed and search efficiency, each against a named peer
	for bench in benchmarks/[a-z]*.py; do echo "== $$bench"; $(BIN)/python $$bench || exit 1; done
	$(BIN)/python -m benchmarks.engine
	$(BIN)/python -m benchmarks.mirror
	$(BIN)/python -m benchmarks.report
	$(BIN)/python -m benchmarks.export
	$(BIN)/python -m benchmarks.browse
	$(BIN)/python -m benchmarks.search.closed_form
	$(BIN)/python -m benchmarks.search --quick
	$(BIN)/python -m benchmarks.known_thresholds

bench-search: setup  ## the whole suite of simulated searches: hours; goes on where it stopped
	$(BIN)/python -m benchmarks.search

bench-peers: setup  ## environments for the peers that need one of their own
	for peer in aepsych questplus; do \
	  $(PYTHON) -m venv benchmarks/search/$$peer/.venv && \
	  benchmarks/search/$$peer/.venv/bin/python -m pip install --quiet --disable-pip-version-check \
	    -r benchmarks/search/$$peer/requirements.txt || exit 1; done

ui: setup  ## the MLflow UI on the default store
	$(BIN)/phasefront ui

golden: setup  ## rewrite the golden files; review them as a diff
	PHASEFRONT_GOLDEN=write $(BIN)/python -m pytest -q tests/golden

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
