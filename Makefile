# Each command sets up what it needs: a virtual environment in .venv, and for tests a browser.
#   make app         run the app
#   make test        lint, types, and all tests
#   make test-fast   the tests without the browser
#   make lint        lint and types
#   make clean       remove caches and what the tests wrote; the environment stays

VENV := .venv
RUN := $(VENV)/bin/python

# The first Python from 3.11 to 3.13. To choose another: make PYTHON=/path/to/python3.12
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	&& echo $$p && break; done)

.PHONY: app test test-fast lint browser clean

app: $(VENV)/.app
	$(RUN) -m lflow app

# Two processes, of which each takes whole files; browsers one at a time, which would wait for each other.
FAST := $(RUN) -m pytest -m "not browser" -n 2 --dist loadfile

test: lint browser
	$(FAST)
	$(RUN) -m pytest -m browser

test-fast: $(VENV)/.dev
	$(FAST)

lint: $(VENV)/.dev
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

browser: $(VENV)/.dev
	$(RUN) -m tests.browser

clean:
	rm -rf .mypy_cache .pytest_cache .ruff_cache dist tests/screenshots
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# Some systems ship venv without ensurepip; there, the system's own pip puts pip into the environment.
$(VENV)/bin/pip:
	@test -n "$(PYTHON)" || { echo "lflow needs Python 3.11, 3.12 or 3.13. Install one," \
		"or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { $(PYTHON) -m venv --clear --without-pip $(VENV) && \
		$(PYTHON) -m pip --python $(RUN) install pip; }

# torch alone and first: by far the largest; which build it is (CPU, CUDA) is for pip's settings to say.
$(VENV)/.app: requirements.txt | $(VENV)/bin/pip
	$(RUN) -m pip install "$$(grep -o '^torch==[^ ]*' requirements.txt)"
	$(RUN) -m pip install -r requirements.txt
	touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.app
	$(RUN) -m pip install -r requirements-dev.txt
	touch $@
