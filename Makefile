# Two commands do everything on a fresh machine: `make demo` and `make test`. No root needed; with root, missing
# Debian packages are installed first. PYTHON may name any Python from 3.11 on.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: demo test check bench lock clean

demo: $(VENV)/run.stamp  ## one whole shift with sample data, left under build/demo
	PYTHONUNBUFFERED=1 $(RUN) -m agent.demo

test: $(VENV)/dev.stamp  ## everything: checks, tests, branch coverage
	$(RUN) -m tests.lanes
	$(MAKE) --no-print-directory static
	$(RUN) -m coverage erase
	$(RUN) -m coverage run -m pytest -q
	$(RUN) -m coverage combine -q
	$(RUN) -m coverage report --skip-covered | tail -n 40

check: $(VENV)/dev.stamp static  ## quick: types, lint, imports, unit tests
	$(RUN) -m pytest -q -x -m "not slow"

.PHONY: static
static:
	$(RUN) -m ruff check .
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports --no-cache

bench: $(VENV)/dev.stamp  ## ratios and medians, each against a baseline in the same run
	$(RUN) -m benchmarks

# The virtual environment holds exactly what provisioning/lock says, with hashes. Nothing is resolved while installing: a
# pin without its extra would send pip looking for a newer release. `pip check` says that the lock is whole.
$(VENV)/bin/python:
	sh .ci/venv.sh $(PYTHON) $(VENV)

$(VENV)/run.stamp: $(VENV)/bin/python provisioning/lock/run.txt pyproject.toml
	$(RUN) -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r provisioning/lock/run.txt
	$(RUN) -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(RUN) -m pip check --disable-pip-version-check
	touch $@

$(VENV)/dev.stamp: $(VENV)/bin/python provisioning/lock/dev.txt pyproject.toml
	sh .ci/packages.sh
	$(RUN) -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r provisioning/lock/dev.txt
	$(RUN) -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(RUN) -m pip check --disable-pip-version-check
	touch $@

lock: $(VENV)/dev.stamp  ## resolves the pins anew
	for set in run:dock cluster:dock,cluster dev:dock,cluster,dev; do \
	  $(VENV)/bin/pip-compile -q --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links \
	    --no-emit-trusted-host --no-header --no-annotate $$(echo $${set#*:} | tr , '\n' | sed 's/^/--extra /' | tr '\n' ' ') \
	    pyproject.toml -o provisioning/lock/$${set%%:*}.txt || exit 1; done
# pip-compile drops the marker of an extra's requirement, without which the lock would fit no other machine.
	@marker="$$(sed -n 's/.*"atheris[^;]*; \(.*\)",/\1/p' pyproject.toml)" && \
	  sed -i "s/^\(atheris==[^ ]*\) /\1 ; $$marker /" provisioning/lock/dev.txt

clean:
	rm -rf build $(VENV)
