# Everything sets itself up: the first call of any target makes .venv from the lock files.
PYTHON ?= python3
BIN := .venv/bin

# Tests start the program many times: it is compiled once, whatever the surroundings say.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo demo-talk app test quick lint format bench lock clean

demo: .venv/.ready
	$(BIN)/python -m musetalk render musetalk/assets/sample.mp4 musetalk/assets/voice.wav -o results/demo.mp4 --report results/demo.json
	@echo "report: results/demo.json"

demo-talk: .venv/.ready
	$(BIN)/python -m musetalk present musetalk/assets/talk.md musetalk/assets/portrait.png -o results/talk.mp4 \
	  --backend preview --layout split --report results/talk.json
	@echo "report: results/talk.json"

app: .venv/.ready
	GRADIO_ANALYTICS_ENABLED=False $(BIN)/python app.py

test: lint
	# Four on two cores: browsers and servers are waited for. In the order of the folders: the slow ones come first.
	$(BIN)/python -m pytest -n 4 --dist loadgroup --no-loadscope-reorder

quick: lint
	$(BIN)/python -m pytest tests/unit -m "not integration and not slow" -n 2 --dist loadgroup

lint: .venv/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: .venv/.ready-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/.ready-dev
	$(BIN)/python -m benchmarks.stages

lock:
	uv pip compile requirements.txt --universal --python-version 3.10 --no-header --no-annotate -o requirements.lock
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.10 --no-header --no-annotate \
	  -c requirements.lock -o requirements-dev.lock

clean:
	rm -rf .venv .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .hypothesis results jobs jobs-uploads

.venv/.ready: requirements.lock
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@touch $@

.venv/.ready-dev: .venv/.ready requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.lock
	@touch $@
