# Two commands set everything up on a fresh machine:
#   make demo    install into .venv and run the main job: a sweep, a frontier, a report page
#   make test    install into .venv-test and run all tests that are not marked slow
# Others: make slow (the rest of the tests), make check (ruff, mypy, docs), make clean.

PYTHON ?= python3
PIP = -m pip install --quiet --disable-pip-version-check -c constraints.txt
.DEFAULT_GOAL := demo
.PHONY: demo test slow check clean

demo: .venv/.installed
	.venv/bin/ratelab demo

test: .venv-test/.installed
	.venv-test/bin/python -m pytest -n auto -m "not slow"

slow: .venv-test/.installed
	.venv-test/bin/python -m pytest -m slow

check: .venv-test/.installed
	.venv-test/bin/ruff check .
	.venv-test/bin/ruff format --check .
	.venv-test/bin/mypy
	.venv-test/bin/python docs/make_coverage.py --check

.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "RateLab needs Python 3.11 or newer; try: make PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv .venv
	.venv/bin/python $(PIP) -e .
	@touch $@

.venv-test/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "RateLab needs Python 3.11 or newer; try: make PYTHON=python3.12" >&2; exit 2; }
	$(PYTHON) -m venv .venv-test
	.venv-test/bin/python $(PIP) -e ".[dev]"
	@touch $@

clean:
	rm -rf .venv .venv-test build dist src/*.egg-info
