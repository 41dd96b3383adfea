# `make demo` runs the whole program on one machine; `make test` runs the tests. Both set up .venv first.
#   PROFILE=cpu|cuda   which lock .venv is made from      PYTHON=...   which Python makes it
#   ARGS="..."         more arguments for the command     UPGRADE=1    with `make lock`: newest of everything
#   RECIPE=digits_try  with `make demo`: every stage in little, in a minute or two
.PHONY: setup demo test lint format types contract lock clean
.NOTPARALLEL:
ARGS ?=
RECIPE ?= digits_cpu
export PROFILE PYTHON UPGRADE
# A run starts a dozen processes; without cached byte code each compiles torch and vLLM again.
unexport PYTHONDONTWRITEBYTECODE

setup:
	@tools/setup.sh

demo: setup
	@.venv/bin/hone run $(RECIPE) $(ARGS); code=$$?; \
	report=$$(ls -t runs/*/report.html 2>/dev/null | head -n 1); \
	if [ $$code -eq 0 ] && [ -n "$$report" ]; then echo "report: $$report"; fi; exit $$code

test: setup
	@.venv/bin/python -m pytest -n 2 $(ARGS)

lint: setup
	@.venv/bin/ruff check . && .venv/bin/ruff format --check .

format: setup
	@.venv/bin/ruff check --fix-only . && .venv/bin/ruff format .

types: setup
	@.venv/bin/mypy

contract: setup
	@.venv/bin/lint-imports --no-logo

lock: setup
	@.venv/bin/python -I tools/environment.py lock

clean:
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
