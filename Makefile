# Everything that a fresh machine with Python 3.11 or later needs: `make demo`, `make test`.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SAMPLE := assets/samples/campus_walkway.mp4

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo test evals evals-model inspector fuzz mutation lint lock pages gallery bench dist package clean

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

setup: $(VENV)/.runtime ## Make .venv with the pinned, hashed dependencies

setup-dev: $(VENV)/.dev ## The same with what the tests and checks need

$(VENV)/.runtime: requirements.lock scripts/setup_environment.sh
	@PYTHON=$(PYTHON) bash scripts/setup_environment.sh requirements.lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock scripts/setup_environment.sh
	@PYTHON=$(PYTHON) bash scripts/setup_environment.sh requirements-dev.lock
	@touch $@ $(VENV)/.runtime

demo: setup ## Make, label and show a variant of the sample clip with the embedded engine
	@$(BIN)/vda run $(SAMPLE) --engine local

test: setup-dev ## Run the tests
	@$(BIN)/python -m pytest -n 2 --dist worksteal -q

evals: setup-dev ## Hold the evals to the tools, without a model
	@$(BIN)/python -m evals.check

fuzz: setup-dev ## Hand 100,000 command lines to run_script
	@VDA_FUZZ_LINES=100000 $(BIN)/python -m pytest -q tests/properties/test_policy_lines.py

mutation: setup-dev ## Mutate the policy and count the mutants that its tests kill
	@$(BIN)/mutmut run >/dev/null; $(BIN)/python -m tests.mutation_score

lint: setup-dev ## Check style and types
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy
	@if command -v shellcheck >/dev/null; then shellcheck scripts/*.sh .ci/*; \
	  else echo "shellcheck is not installed, so the shell scripts are not checked"; fi

evals-model: setup-dev ## Let a model do the evals: make evals-model URL=http://… MODEL=…
	@$(BIN)/python -m evals.run_model --url $(URL) --model $(MODEL)

inspector: ## Bring the MCP Inspector, for its tests (needs Node.js 20 or later with npm)
	@npm ci --prefix tests/inspector --silent --ignore-scripts --no-audit --no-fund

pages: setup-dev ## Write the generated schemas and pages anew
	@$(BIN)/python -m skill_tools.schema && $(BIN)/python -m skill_tools.workers.file_schemas \
	  && $(BIN)/python -m tests.golden_tools && $(BIN)/python -m skill_tools.pages

gallery: setup-dev ## Draw every value on the sample clip for references/augmentation.md
	@$(BIN)/python -m skill_tools.workers.augmentation.gallery $(SAMPLE) references/augmentation.md

bench: setup-dev ## Measure; prints ratios against baselines of the same run
	@for file in tests/bench/*.py; do $(BIN)/python $$file; done

dist: setup-dev ## Build the wheel and the source distribution into dist/
	@$(BIN)/python -m hatchling build -d dist

package: setup-dev ## Build, install clean in three ways, run from it (needs a package index)
	@bash .ci/package

lock: setup-dev ## Resolve the dependencies anew (needs a package index)
	$(BIN)/uv pip compile --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
	  pyproject.toml --group build --output-file requirements.lock
	$(BIN)/uv pip compile --universal --generate-hashes --no-header --no-annotate --python-version 3.11 \
	  pyproject.toml --group build --group dev --group frameworks \
	  --constraint requirements.lock --output-file requirements-dev.lock

clean: ## Take away what setup and the tools made
	rm -r -f $(VENV) tests/inspector/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis dist mutants
