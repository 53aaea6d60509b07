# Everything that a person or CI does here. `make setup` needs Python 3.11+ and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
INPUT ?=
OUTPUT ?= runs/demo

.PHONY: setup demo test lint bench chaos requirements format

setup: $(STAMP)

# --no-deps: the list is whole, and scenedetect would bring opencv-python 5 over the headless 4 that is in it.
$(STAMP): pyproject.toml requirements/dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --no-deps -r requirements/dev.txt
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --no-deps -e .
	touch $@

# Of the rendered corpus, some files are broken on purpose (a quarter may fail) and most shots are short.
demo: setup
ifeq ($(INPUT),)
	$(BIN)/curate footage $(OUTPUT)/footage
	$(BIN)/curate run --input $(OUTPUT)/footage --output $(OUTPUT)/run --max-failures 25% \
		--set split.min_s=1.2 --set split.sample_every_s=0.4
else
	$(BIN)/curate run --input "$(INPUT)" --output $(OUTPUT)/run
endif

test: setup
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# CPU time of the split pass against a bare decode, and a worker's memory: over INPUT, or the rendered corpus.
bench: setup
ifeq ($(INPUT),)
	$(BIN)/curate footage runs/footage
	$(BIN)/curate bench split runs/footage/truth.csv runs/footage
	$(BIN)/curate bench decode runs/footage/drive.mp4 runs/footage/hd.mp4 runs/footage/montage.mp4
else
	$(BIN)/curate bench decode "$(INPUT)"
endif
	$(BIN)/curate bench memory

# Kill drivers, workers, decoders and raylets twenty times; the runs must end as undisturbed ones do.
chaos: setup
	CHAOS_KILLS=20 $(BIN)/python -m pytest tests/e2e/test_chaos.py -s
	CHAOS_KILLS=20 $(BIN)/python -m pytest tests/e2e/test_cluster.py -k killed -s

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

requirements: setup
	$(BIN)/uv pip compile -q --universal --python-version 3.11 pyproject.toml --group dev \
		--extra decord --extra scenedetect --extra ray --extra clip --extra scores --extra plots --override requirements/overrides.txt \
		--no-annotate --no-header -o requirements/dev.txt
