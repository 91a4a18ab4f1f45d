# The gates, for people. `make` runs them all; CI runs the same.
.PHONY: check format lint types imports test long lock
bin := .venv/bin

check: lint types imports test

format:
	$(bin)/ruff format .
	$(bin)/ruff check --fix .

lint:
	$(bin)/ruff format --check .
	$(bin)/ruff check .

types:
	$(bin)/mypy schema/onceward relay/onceward_relay tests

imports:
	$(bin)/lint-imports

test:
	$(bin)/pytest -n 3

# What CI leaves out for its length: it sees the same in another way, or in a shorter form.
long:
	$(bin)/pytest -m long

# All locks (of everything, of the images, of what builds these) hold versions and hashes and no addresses, so that pip and uv can install them from any mirror.
compile := $(bin)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-emit-package onceward
lock:
	$(compile) --extra dev pyproject.toml -o requirements.lock
	$(compile) --extra relay --extra worker --extra console --extra otlp pyproject.toml -o deploy/requirements.lock
	echo hatchling | $(compile) - -o deploy/build.lock
	echo 'onceward[relay,worker] @ .' | $(compile) --constraints deploy/requirements.lock - participant_template/pyproject.toml -o participant_template/requirements.lock
