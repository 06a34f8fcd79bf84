# Two commands on a fresh machine: make demo, make test. They need Python >= 3.11 and the registry.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Which torch: lock (of requirements.lock), cpu, cu126 and the like (its latest from PyTorch's own index),
# or system (the one of $(PYTHON), which is not touched). Chosen once: the name of a file remembers it.
TORCH ?= $(or $(patsubst $(VENV)/.ready-%,%,$(wildcard $(VENV)/.ready-*)),lock)
READY := $(VENV)/.ready-$(TORCH)
UV := $(BIN)/uv pip
INTO := --quiet --python $(BIN)/python
# torch and what only belongs to its wheel.
OF_TORCH := ^((torch|torchaudio|triton)==|(nvidia|cuda)-)
# Extra arguments for pytest: make test ARGS="-k ragged"
ARGS ?=
# What depends on other people's libraries: make test-lowest BOUNDS=tests/parity
BOUNDS ?= tests/encoders tests/parity tests/contracts tests/recognisers tests/tracking tests/e2e/test_train.py

.PHONY: setup demo test test-lowest test-newest lint format lock clean

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("sermm needs Python 3.11 to 3.13; set PYTHON=") if not (3, 11) <= sys.version_info[:2] <= (3, 13) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(if $(filter system,$(TORCH)),--system-site-packages) $(VENV)
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
ifeq ($(TORCH),lock)
	$(UV) sync $(INTO) --compile-bytecode --require-hashes requirements.lock
else
	awk '/^[a-z0-9]/ { kept = !/$(OF_TORCH)/ } kept' requirements.lock >$(VENV)/others.lock
	$(UV) sync $(INTO) --compile-bytecode --require-hashes $(VENV)/others.lock
ifeq ($(TORCH),system)
	@$(BIN)/python -c 'import torch' || { echo "TORCH=system: $(PYTHON) has no torch"; exit 1; }
	@$(BIN)/python -c 'import importlib.util, sys; sys.exit(not importlib.util.find_spec("torchaudio"))' || \
		$(UV) install $(INTO) --no-deps torchaudio
else
	$(UV) install $(INTO) --torch-backend $(TORCH) torch torchaudio
endif
endif
	$(UV) install $(INTO) --no-deps --no-build-isolation --editable .
	rm -f $(VENV)/.ready*
	touch $@

demo: $(READY)
	$(BIN)/sermm demo

test: $(READY) lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadfile $(ARGS)

# With the oldest and the newest libraries that pyproject.toml allows, each in an environment of its own.
# A warning is no error here: others' libraries warn of each other.
test-lowest: RESOLUTION := lowest-direct
test-newest: RESOLUTION := highest
test-lowest test-newest: test-%: $(READY)
	$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python .venv-$*
	$(UV) compile --quiet --resolution $(RESOLUTION) --upgrade --all-extras --group dev --no-header --no-annotate \
		--python .venv-$*/bin/python pyproject.toml --output-file .venv-$*/requirements.txt
	$(UV) sync --quiet --python .venv-$*/bin/python .venv-$*/requirements.txt
	$(UV) install --quiet --python .venv-$*/bin/python --no-deps --no-build-isolation --editable .
	OMP_NUM_THREADS=1 .venv-$*/bin/python -m pytest --numprocesses auto --dist loadfile \
		--override-ini filterwarnings=default $(BOUNDS) $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock:
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --all-extras --group dev \
		--python-version 3.11 --no-header pyproject.toml --output-file requirements.lock

clean:
	rm -rf $(VENV) .venv-lowest .venv-newest dist .mypy_cache .ruff_cache .pytest_cache
