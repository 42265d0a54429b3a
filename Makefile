# The two commands a newcomer needs: `make demo` and `make test`. Each does its own set-up; a second run is quick.

VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000

.PHONY: demo test serve check format lint contracts types bench setup assets lock clean

demo: setup assets  ## invent a town, play it through the API, print what was matched (ONCE=1 ends there)
	@exec $(BIN)/trailmatch demo --port $(PORT) $(if $(ONCE),--once)

test: setup assets  ## every test, in a process for each processor: `make test ARGS="tests/geo -x"` for some
	@.ci/install-programs
	@exec $(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadgroup $(ARGS)

serve: setup assets  ## the service on http://127.0.0.1:$(PORT)
	@exec $(BIN)/trailmatch serve --port $(PORT)

check: setup assets format lint contracts types test  ## all that a change has to pass

format: setup
	$(BIN)/ruff format --check .

lint: setup
	$(BIN)/ruff check .

contracts: setup
	$(BIN)/lint-imports

types: setup
	$(BIN)/mypy

bench: setup  ## every benchmark: `make bench ARGS="join --workload W1 --json"` for one; installs what it compares with
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,bench]'
	@exec $(BIN)/python -m benchmarks $(ARGS)

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt .ci/make-venv
	@.ci/make-venv $(VENV)
	@echo "installing what TrailMatch needs into $(VENV) (about a minute the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

# The pages' libraries come from the npm registry at build time and are never committed.
assets: app/console/static/vendor/.built

app/console/static/vendor/.built: app/console/package.json app/console/package-lock.json app/console/build.mjs
	@command -v npm >/dev/null || { echo "Node.js 20 with npm is needed for the API's documentation page: https://nodejs.org"; exit 1; }
	@echo "building the pages' libraries"
	@cd app/console && npm ci --silent --no-audit --no-fund && node build.mjs
	@touch $@

lock: setup  ## write constraints.txt anew for Python 3.11 to 3.14, without any index address
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --universal --extra dev --python-version 3.11 \
		--no-emit-index-url --no-header --no-annotate --upgrade --output-file constraints.txt

clean:  ## the environment, the embedded database and every cache
	rm -rf $(VENV) .trailmatch build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis app/console/node_modules \
		app/console/static/vendor
