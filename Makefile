# Every target installs what it needs into .venv on first use; bench-peers and test-peers also into .venv-peers and
# .venv-rllib, bench-citylearn and test-citylearn into .venv-citylearn, test-s3 into .venv-s3 and .venv-moto, which hold
# what Accord itself does not need.
PYTHON ?= python3
BIN := .venv/bin
PEERS := .venv-peers/bin
RLLIB := .venv-rllib/bin
CITYLEARN := .venv-citylearn/bin
S3 := .venv-s3/bin
MOTO := .venv-moto/bin
SUITE ?= quick

.DEFAULT_GOAL := help
.PHONY: help bench bench-citylearn bench-throughput bench-launchers bench-peers scale scale-quality test test-newcomer test-citylearn test-cluster test-s3 test-faults test-peers lint leaderboard reproduce reproduce-short coverage docs tables test-site test-latex tune data clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' | \
	while IFS='|' read -r target text; do printf '  make %-17s %s\n' "$$target" "$$text"; done

bench: .venv/installed ## run a suite and print its leaderboard (SUITE=quick, paper, hourly; ARGS=...)
	@$(BIN)/accord run $(SUITE) $(ARGS)

bench-citylearn: .venv-citylearn/installed ## the suite that runs policies in CityLearn's own simulator (most of an hour)
	@$(CITYLEARN)/accord run citylearn $(ARGS)

bench-throughput: .venv/installed ## how fast the learning methods train (ARGS="--width 64 --seconds 10")
	@$(BIN)/python -m accord.benchmark.performance.throughput $(ARGS)

bench-launchers: .venv/cluster ## seconds of a tiny run by each launcher, and by none (ARGS="--runs 100")
	@$(BIN)/python -m accord.benchmark.performance.launchers $(ARGS)

bench-peers: .venv/installed .venv-peers/installed ## the same, beside BenchMARL on the same task
	@$(BIN)/python -m accord.benchmark.performance.throughput --peers $(PEERS)/python $(ARGS)

scale: .venv/installed ## cost and memory against the number of agents, 4 to a million (ARGS="--agents 8,64")
	@$(BIN)/accord scale $(ARGS)

scale-quality: .venv/installed ## seconds and samples until a policy is good, 4 to 64 agents (hours; ARGS="--agents 4,8")
	@$(BIN)/accord scale-quality $(ARGS)

test: .venv/dev ## run the tests
	@$(BIN)/python -m pytest --durations 10 $(ARGS)

test-newcomer: .venv/dev ## clone, install and follow README and tutorial as a newcomer does, and time each step (many minutes)
	@$(BIN)/python -m pytest -n 0 -s tests/newcomer $(ARGS)

test-peers: .venv-peers/dev .venv-rllib/installed ## TorchRL, BenchMARL, SB3 and RLlib take our tasks (minutes, and gigabytes to install)
	@$(PEERS)/python -m pytest -n 0 --ignore tests/peers/test_rllib.py tests/peers $(ARGS)
	@$(RLLIB)/python -m pytest -n 0 tests/peers/test_rllib.py $(ARGS)

test-faults: .venv/dev ## malformed input and what is done to files and processes (minutes)
	@$(BIN)/python -m pytest -n 0 tests/faults $(ARGS)

test-cluster: .venv/cluster ## launchers by Ray and by submitit (minutes)
	@$(BIN)/python -m pytest -n 0 tests/cluster $(ARGS)

test-s3: .venv-s3/dev .venv-moto/installed ## a store in a bucket, on a server that speaks S3 and is started here (minutes)
	@$(S3)/python -m pytest -n 0 tests/s3 $(ARGS)

test-citylearn: .venv-citylearn/dev ## our task against CityLearn's own simulator (minutes, and gigabytes to install)
	@$(CITYLEARN)/python -m pytest -n 0 tests/citylearn $(ARGS)

lint: .venv/dev ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

leaderboard: .venv/installed ## print the published leaderboards
	@for suite in $(patsubst results/%/runs.parquet,%,$(wildcard results/*/runs.parquet)); do $(BIN)/accord report $$suite --published || exit 1; done

reproduce: .venv/installed ## rerun published rows of every suite, drawn to fit ten minutes (ARGS="--within 3600 --draw 1")
	@$(BIN)/accord reproduce all --within 600 $(ARGS)

reproduce-short: .venv/installed ## rerun one short published row of every suite
	@$(BIN)/accord reproduce all --short $(ARGS)

coverage: .venv/installed ## how often the printed intervals hold the truth, by simulation
	@$(BIN)/python -m accord.benchmark.studies.coverage $(ARGS)

docs: .venv/docs ## build the documentation into build/site; a warning is an error (ARGS="serve" shows it while you write)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs $(or $(ARGS),build --quiet)

tables: .venv/installed ## write the tables of README and documentation anew, from what is published
	@$(BIN)/python docs/tables.py

test-site: .venv/dev docs ## look at every page of the documentation with chromium, which must be installed
	@$(BIN)/python -m pytest -n 0 tests/site $(ARGS)

test-latex: .venv/dev ## compile the leaderboards with pdflatex, which must be installed, and see that they fit a page, and a column
	@$(BIN)/python -m pytest tests/latex $(ARGS)

tune: .venv/dev ## search for every method's settings again, going on where it stopped (hours; ARGS=...)
	@$(BIN)/accord tune $(ARGS)

data: .venv/installed ## rebuild the data store from CityLearn's wheel and check its digest
	@$(BIN)/python -m accord.envs.districts.citylearn_data

clean: ## remove the environments, scratch runs and caches
	rm -rf .venv .venv-peers .venv-rllib .venv-citylearn .venv-s3 .venv-moto runs build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# torch comes first and alone, so that nothing else decides its build.
.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	{ echo "$(PYTHON) is not Python 3.11 to 3.13; name one: make PYTHON=python3.11 ..." >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing into .venv (a few minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv/dev: .venv/installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

.venv/docs: .venv/installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

.venv/cluster: .venv/dev
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[ray,slurm]'
	@touch $@

# BenchMARL needs packages that Accord does not, so it gets an environment of its own.
.venv-peers/installed: pyproject.toml constraints.txt
	@test -x $(PEERS)/python || $(PYTHON) -m venv .venv-peers
	@echo "installing BenchMARL into .venv-peers (a few minutes the first time)"
	@$(PEERS)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	@$(PEERS)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt benchmarl==1.5.2 'torchrl==0.11.*'
	@$(PEERS)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv-peers/dev: .venv-peers/installed
	@$(PEERS)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt 'stable-baselines3==2.9.*' supersuit mpe2 lbforaging pytest pytest-xdist
	@touch $@

# RLlib asks for an older Gymnasium than the one that results were made with.
.venv-rllib/installed: pyproject.toml constraints.txt
	@test -x $(RLLIB)/python || $(PYTHON) -m venv .venv-rllib
	@echo "installing RLlib into .venv-rllib (a few minutes the first time)"
	@grep -v '^gymnasium==' constraints.txt > .venv-rllib/constraints.txt
	@$(RLLIB)/python -m pip install --quiet --disable-pip-version-check -c .venv-rllib/constraints.txt torch
	@$(RLLIB)/python -m pip install --quiet --disable-pip-version-check -c .venv-rllib/constraints.txt 'ray[rllib]==2.60.*' pytest pytest-xdist
	@$(RLLIB)/python -m pip install --quiet --disable-pip-version-check -c .venv-rllib/constraints.txt -e .
	@touch $@

# CityLearn's simulator asks for NumPy 1, and with it for older releases of what is built on it.
.venv-citylearn/installed: pyproject.toml constraints.txt
	@test -x $(CITYLEARN)/python || $(PYTHON) -m venv .venv-citylearn
	@echo "installing CityLearn into .venv-citylearn (a few minutes the first time)"
	@grep -vE '^(gymnasium|numpy|pandas|pettingzoo|pyarrow)==' constraints.txt > .venv-citylearn/constraints.txt
	@$(CITYLEARN)/python -m pip install --quiet --disable-pip-version-check -c .venv-citylearn/constraints.txt torch
	@$(CITYLEARN)/python -m pip install --quiet --disable-pip-version-check -c .venv-citylearn/constraints.txt \
	citylearn==3.0.2 pettingzoo==1.24.3 gymnasium==0.28.1 numpy==1.26.4 pandas==3.0.6 pyarrow==21.0.0 -e .
	@touch $@

.venv-citylearn/dev: .venv-citylearn/installed
	@$(CITYLEARN)/python -m pip install --quiet --disable-pip-version-check -c .venv-citylearn/constraints.txt pytest pytest-xdist
	@touch $@

# botocore asks for an older python-dateutil than the one that results were made with.
.venv-s3/dev: pyproject.toml constraints.txt
	@test -x $(S3)/python || $(PYTHON) -m venv .venv-s3
	@echo "installing s3fs into .venv-s3 (a few minutes the first time)"
	@grep -v '^python-dateutil==' constraints.txt > .venv-s3/constraints.txt
	@$(S3)/python -m pip install --quiet --disable-pip-version-check -c .venv-s3/constraints.txt torch
	@$(S3)/python -m pip install --quiet --disable-pip-version-check -c .venv-s3/constraints.txt -e '.[s3,dev]'
	@touch $@

# moto asks for another botocore than s3fs.
.venv-moto/installed:
	@test -x $(MOTO)/python || $(PYTHON) -m venv .venv-moto
	@$(MOTO)/python -m pip install --quiet --disable-pip-version-check 'moto[server]==5.2.5'
	@touch $@
