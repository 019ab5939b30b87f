# The front door for people. `make run` and `make test` need git, make and Python 3.11 or newer; the rest is set up here.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
RUN := $(VENV)/.installed
DEV := $(VENV)/.installed-dev
EDITOR := tests/editor/node_modules/.package-lock.json
REPORT := $(VENV)/.installed-report
CLIENT := tests/workflows/node_modules/.package-lock.json
CLIENTS := .venv-clients/.installed
MLFLOW := .venv-mlflow/.installed
DOCS := .venv-docs/.installed
# uv where it is there: it installs in a fraction of the time. Byte code is compiled as pip does it: an uncompiled
# scikit-learn costs seconds at its first import.
install = $(if $(shell command -v uv),uv pip install --quiet --compile-bytecode --python $(1)/bin/python,$(1)/bin/python -m pip install --quiet --disable-pip-version-check)

# The tests start the package some thousand times: it is compiled once, whatever a container's environment says.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run serve report test coverage test-slow fuzz workflows check dist docs notebooks parameters estimators lock bench bench-all bench-batch bench-batch-mixed bench-train-table bench-forests bench-scale bench-unchanged bench-feedback bench-tracking bench-search bench-serving bench-tables branches promote clean

help: ## say what each target does
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

# What the README's own commands need: the base, training, the server, pytest.
$(RUN): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if v >= (3, 11) else "error: Python 3.11 or newer is needed, this is %d.%d; run make with PYTHON=python3.11 or a newer one" % v)'
	$(PYTHON) -m venv $(VENV)
	$(call install,$(VENV)) --require-hashes -r requirements.txt
	$(call install,$(VENV)) --no-deps --no-build-isolation -e .
	@touch $@

# The same environment with what the checks need, and the tests of every extra.
$(DEV): $(RUN) requirements-dev.txt
	$(call install,$(VENV)) --require-hashes -r requirements-dev.txt
	@touch $@

run: $(RUN) ## train, verify and infer, from config/config.json to predictions.csv
	$(BIN)/python src/train.py
	$(BIN)/artifact-pipeline verify artifact
	$(BIN)/python src/inference.py

serve: $(RUN) ## the server and its page, http://127.0.0.1:8080/, once there is an artifact; ARGS=--help
	$(BIN)/artifact-pipeline serve artifact $(ARGS)

# The same environment with what plots and pages need.
$(REPORT): $(RUN) requirements-report.txt
	$(call install,$(VENV)) --require-hashes -r requirements-report.txt
	@touch $@

report: $(REPORT) ## report.html, a page about the artifact, once there is one; ARGS=--help
	$(BIN)/artifact-pipeline report artifact $(ARGS)

test: $(DEV) ## the test suite, on all processors
	$(BIN)/python -m pytest tests/ -n auto $(PYTEST_ARGS)

coverage: $(DEV) ## the same, and how much of the package it covers, which must be 95 %
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest tests/ -n auto
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# KServe's client brings ninety packages and pins some below ours: they get an environment of their own.
$(CLIENTS): tests/clients/requirements.txt
	$(PYTHON) -m venv --clear $(@D)
	$(call install,$(@D)) --require-hashes -r $<
	@touch $@

# MLflow brings ninety more.
$(MLFLOW): tests/mlflow/requirements.txt
	$(PYTHON) -m venv --clear $(@D)
	$(call install,$(@D)) --require-hashes -r $<
	@touch $@

test-slow: $(DEV) $(CLIENTS) $(MLFLOW) $(DOCS) $(EDITOR) ## faults at every system call, kill -9, 100,000 mutations, clients of others, the documentation
	$(BIN)/python -m pytest tests/ -m slow -n auto --dist loadgroup
	$(BIN)/python -m pytest tests/property -n auto --hypothesis-profile thorough

fuzz: $(DEV) ## a million mutations of the pickle reader
	$(BIN)/python -m pytest tests/ -m fuzz

# Zensical brings MkDocs's libraries: what the site needs stays out of the environment of the tests.
$(DOCS): requirements-docs.txt
	@$(PYTHON) -m venv --clear $(@D)
	$(call install,$(@D)) --require-hashes -r $<
	@touch $@

docs: $(RUN) $(DOCS) ## the documentation as a site, in site/; its reference is written again
	$(BIN)/python scripts/reference.py
	.venv-docs/bin/zensical build --clean --strict

notebooks: $(DEV) ## run the notebooks of examples/, and write what they print into them
	$(BIN)/python scripts/notebooks.py

parameters: $(DEV) ## what the config's schema says of each classifier, from the locked scikit-learn
	$(BIN)/python scripts/parameters.py
	$(BIN)/artifact-pipeline schema > config/config.schema.json
	$(BIN)/python scripts/reference.py

estimators: $(DEV) ## docs/estimators.md, measured again: each classifier that can be written, beside scikit-learn
	$(BIN)/python scripts/estimators.py

# Without npm nothing is installed here: the tests say what is missing, by a skip or, in CI, a failure.
$(CLIENT) $(EDITOR): tests/%/node_modules/.package-lock.json: tests/%/package-lock.json
	@if command -v npm >/dev/null; then cd tests/$* && npm ci; fi

workflows: $(DEV) $(CLIENT) ## the workflows of the chain and the release, run on this machine by act
	$(BIN)/python -m pytest tests/ -m workflows

check: $(DEV) ## ruff, mypy strict, import contract, names of classes, schema, workflow files, the package in an empty folder
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/names.py
	$(BIN)/artifact-pipeline schema | cmp - config/config.schema.json
	$(BIN)/check-jsonschema --schemafile config/config.schema.json config/config.json
	$(BIN)/zizmor --offline --strict-collection --persona auditor --quiet .
	$(BIN)/actionlint
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows $(wildcard .github/workflows/*.yml)
	$(BIN)/check-jsonschema --builtin-schema vendor.github-actions action.yml verify-predict/action.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/bug.yml .github/ISSUE_TEMPLATE/idea.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff
	$(BIN)/python scripts/try_package.py

dist: $(DEV) ## the files of a release, in dist/: sdist and wheel, built twice and tried in an empty folder, and a bill of materials
	$(BIN)/python scripts/try_package.py dist

compile = $(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-strip-extras --custom-compile-command 'make lock' $(LOCK_ARGS)

# The lock of everything comes first; every other one is a part of it, or stands beside it with the same versions.
lock: ## make every lock again from pyproject.toml; LOCK_ARGS=--upgrade for newer versions
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet uv==$(UV_VERSION)
	$(compile) pyproject.toml --all-extras --group dev -o requirements-dev.txt
	$(compile) pyproject.toml --extra train --extra serve --group test -c requirements-dev.txt -o requirements.txt
	$(compile) pyproject.toml --extra train -c requirements-dev.txt -o requirements-train.txt
	$(compile) pyproject.toml --extra train --extra report -c requirements-dev.txt -o requirements-report.txt
	$(compile) pyproject.toml -c requirements-dev.txt -o requirements-base.txt
	$(compile) pyproject.toml --extra serve -c requirements-dev.txt -o requirements-serve.txt
	$(compile) pyproject.toml --extra registry -c requirements-dev.txt -o requirements-registry.txt
	$(compile) pyproject.toml --extra sign -c requirements-dev.txt -o requirements-sign.txt
	$(compile) --group build -c requirements-dev.txt -o requirements-build.txt
	$(compile) --group docs -c requirements-dev.txt -o requirements-docs.txt
	$(compile) benchmarks/batch.in -c requirements-dev.txt -o benchmarks/batch.txt
	$(compile) benchmarks/serving.in -c requirements-dev.txt -o benchmarks/serving.txt
	$(compile) benchmarks/tables.in -c requirements-dev.txt -o benchmarks/tables.txt
	$(compile) benchmarks/autogluon.in -o benchmarks/autogluon.txt
	$(compile) benchmarks/mljar.in -o benchmarks/mljar.txt
	$(compile) tests/clients/requirements.in -o tests/clients/requirements.txt
	$(compile) tests/mlflow/requirements.in -o tests/mlflow/requirements.txt

bench: $(DEV) ## the figures of docs/benchmarks.md, measured again beside the bare scripts; ARGS=--help
	$(BIN)/python -m benchmarks.spine $(ARGS)

bench-all: $(DEV) ## all of them, into docs/benchmarks.md, one after the other; ARGS="--quick --only batch forests"
	$(BIN)/python -m benchmarks.bench_all $(ARGS)

bench-batch: $(DEV) ## predict on files of 10^5 to 10^7 rows, beside pandas, scikit-learn and the limit; ARGS=--help
	$(BIN)/python -m benchmarks.batch $(ARGS)

bench-batch-mixed: $(DEV) ## predict on 10^6 rows with three categories, beside a bare script; ARGS=--help
	$(BIN)/python -m benchmarks.batch_mixed $(ARGS)

bench-train-table: $(DEV) ## train on a CSV and a Parquet of 10^6 rows, beside scikit-learn with pandas; ARGS=--help
	$(BIN)/python -m benchmarks.train_table $(ARGS)

bench-scale: $(DEV) ## predict by two Dask workers beside one process; what a task, a worker and a row cost; ARGS=--help
	$(BIN)/python -m benchmarks.scale $(ARGS)

bench-forests: $(DEV) ## trees in ONNX Runtime beside scikit-learn, 10^4 rows in memory; ARGS=--help
	$(BIN)/python -m benchmarks.forests $(ARGS)

bench-tracking: $(DEV) $(MLFLOW) ## export into a server of MLflow, beside MLflow's own client; ARGS=--help
	$(BIN)/python -m benchmarks.tracking $(ARGS)

bench-unchanged: $(DEV) ## a training with nothing to do, beside dvc repro; ARGS=--help
	$(BIN)/python -m benchmarks.unchanged $(ARGS)

bench-feedback: $(DEV) ## drawings that are fed back: what the model makes of others, before and after; ARGS=--help
	$(BIN)/python -m benchmarks.feedback $(ARGS)

bench-search: $(DEV) ## a search on the digits, beside scikit-learn's cross-validation; ARGS=--help
	$(BIN)/python -m benchmarks.search $(ARGS)

bench-serving: $(DEV) ## serve beside a bare server, FastAPI and LitServe, under load by wrk; ARGS=--help
	$(BIN)/python -m benchmarks.serving $(ARGS)

bench-tables: $(DEV) ## tables of strangers from init alone, beside scikit-learn by hand; one table beside AutoML; ARGS=--help
	$(BIN)/python -m benchmarks.tables $(ARGS)

branches: ## create the chain of branches in this clone, where they are missing
	$(PYTHON) scripts/branches.py create $(ARGS)

promote: ## fast-forward each branch once the one before is green; ARGS=--dry-run, --yes
	$(PYTHON) scripts/branches.py promote $(ARGS)

clean: ## remove what a run wrote and the environments
	rm -rf $(VENV) $(VENV)-lock .venv-* site dist .cache artifact artifacts model_train.pkl predictions.csv predictions.csv.receipt.json report.html
