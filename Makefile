# The front door for people. `make run` and `make test` need git, make and Python 3.11 or newer; the rest is set up here.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
BUTTON := $(VENV)/.installed
CLIENT := tests/workflows/node_modules/.package-lock.json
CLIENTS := .venv-clients/.installed

.PHONY: help run serve test test-slow fuzz workflows check lock bench bench-batch bench-unchanged bench-serving branches promote clean

help: ## say what each target does
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

$(BUTTON): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if v >= (3, 11) else "error: Python 3.11 or newer is needed, this is %d.%d; run make with PYTHON=python3.11 or a newer one" % v)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

run: $(BUTTON) ## train, verify and infer, from config/config.json to predictions.csv
	$(BIN)/python src/train.py
	$(BIN)/artifact-pipeline verify artifact
	$(BIN)/python src/inference.py

serve: $(BUTTON) ## the server and its page, http://127.0.0.1:8080/, once there is an artifact; ARGS=--help
	$(BIN)/artifact-pipeline serve artifact $(ARGS)

test: $(BUTTON) ## the test suite, on all processors, under four minutes
	$(BIN)/python -m pytest tests/ -n auto $(PYTEST_ARGS)

# KServe's client brings ninety packages and pins some below ours: they get an environment of their own.
$(CLIENTS): tests/clients/requirements.txt
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

test-slow: $(BUTTON) $(CLIENTS) ## faults at every system call, kill -9, 100,000 mutations, clients of others
	$(BIN)/python -m pytest tests/ -m slow

fuzz: $(BUTTON) ## a million mutations of the pickle reader
	$(BIN)/python -m pytest tests/ -m fuzz

# Without npm nothing is installed here: the tests say what is missing, by a skip or, in CI, a failure.
$(CLIENT): tests/workflows/package-lock.json
	@if command -v npm >/dev/null; then cd tests/workflows && npm ci; fi

workflows: $(BUTTON) $(CLIENT) ## the three workflow files, run on this machine by act
	$(BIN)/python -m pytest tests/ -m workflows

check: $(BUTTON) ## ruff, mypy strict, import contract, schema, workflow files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/artifact-pipeline schema | cmp - config/config.schema.json
	$(BIN)/check-jsonschema --schemafile config/config.schema.json config/config.json
	$(BIN)/zizmor --offline --strict-collection --persona auditor --quiet .
	$(BIN)/actionlint
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows $(wildcard .github/workflows/*.yml)
	$(BIN)/check-jsonschema --builtin-schema vendor.github-actions action.yml

lock: ## make requirements.txt and requirements-base.txt again; LOCK_ARGS=--upgrade for newer versions
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet uv==$(UV_VERSION)
	$(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-strip-extras --custom-compile-command 'make lock' pyproject.toml -o requirements-base.txt $(LOCK_ARGS)
	$(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-strip-extras --custom-compile-command 'make lock' pyproject.toml --extra train --extra images --extra scale --extra sign --extra serve --group dev -c requirements-base.txt -o requirements.txt $(LOCK_ARGS)
	$(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-strip-extras --custom-compile-command 'make lock' benchmarks/batch.in -c requirements.txt -o benchmarks/batch.txt $(LOCK_ARGS)
	$(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-strip-extras --custom-compile-command 'make lock' benchmarks/serving.in -c requirements.txt -o benchmarks/serving.txt $(LOCK_ARGS)
	$(VENV)-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-strip-extras --custom-compile-command 'make lock' tests/clients/requirements.in -o tests/clients/requirements.txt $(LOCK_ARGS)

bench: $(BUTTON) ## the README's figures, measured again beside the bare scripts; ARGS=--help
	$(BIN)/python -m benchmarks.spine $(ARGS)

bench-batch: $(BUTTON) ## predict on files of 10^5 to 10^7 rows, beside pandas, scikit-learn and the limit; ARGS=--help
	$(BIN)/python -m benchmarks.batch $(ARGS)

bench-unchanged: $(BUTTON) ## a training with nothing to do, beside dvc repro; ARGS=--help
	$(BIN)/python -m benchmarks.unchanged $(ARGS)

bench-serving: $(BUTTON) ## serve beside a bare server, FastAPI and LitServe, under load by wrk; ARGS=--help
	$(BIN)/python -m benchmarks.serving $(ARGS)

branches: ## create the chain of branches in this clone, where they are missing
	$(PYTHON) scripts/branches.py create $(ARGS)

promote: ## fast-forward each branch once the one before is green; ARGS=--dry-run, --yes
	$(PYTHON) scripts/branches.py promote $(ARGS)

clean: ## remove what a run wrote and the environments
	rm -rf $(VENV) $(VENV)-lock .venv-* artifact artifacts model_train.pkl predictions.csv predictions.csv.receipt.json
