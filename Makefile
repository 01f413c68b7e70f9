# The project's commands. `make quickstart` and `make test` need Python 3.11 or newer and nothing else.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
# Installs torch's 6 GB from a lock in a minute, where pip takes many.
UV = uv==0.13.9
COMPILE = uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-annotate --no-header --upgrade
FIFTYONE = tests/export/formats/fiftyone

# A run starts a dozen processes. If each compiles all that it imports, one video takes 40 s, not 27.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: quickstart install test test-slow lint types format lock clean

quickstart: install  ## set everything up, run the flow on the sample clips, show the result
	$(BIN)/pvtt-flow run configs/quickstart.yaml

# Three at a time, on two cores too: a quarter of their time is waiting, for servers and processes.
test: install  ## the whole suite but the slow ones
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile

# Two at a time: part of their time is waiting, for starts, time-outs and retries. With names, so
# that the log of a run that does not end tells where it is.
test-slow: install  ## kills, faults, clusters
	$(BIN)/python -m pytest -vv -m slow --durations 15 --numprocesses 2 --dist loadfile

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

install: $(VENV)/.installed

# sam2 is a source package that imports torch while it builds; the constraints give it ours.
$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; set PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV)
	SAM2_BUILD_CUDA=0 $(BIN)/uv pip install --quiet --python $(BIN)/python \
		--require-hashes --build-constraints requirements.lock --requirements requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

lock:  ## renew requirements.lock, and that of a reader with an environment of its own; needs uv
	$(COMPILE) pyproject.toml --extra dev --output-file requirements.lock
	$(COMPILE) $(FIFTYONE).in --no-emit-package fiftyone-db --output-file $(FIFTYONE).lock

clean:
	rm -rf $(VENV) runs previews debug
