# Every command of the project. `make` alone lists them.
#
# Tools and names, each may be given on the command line (make run PYTHON=python3.12):
PYTHON ?= python3
VENV ?= .venv
DOCKER ?= docker
IVCAP ?= ivcap

# What `run` and its kin measure.
MODEL ?= examples/models/seagrass-tiny.tgz
IMAGES ?= examples/images
OUTPUTS ?= pseudo,overlay
VIDEOS ?= examples/videos
# Which of them are given, on the command line or by the environment.
GIVEN := $(strip $(foreach name,MODEL IMAGES VIDEOS,$(if $(filter file,$(origin $(name))),,$(name))))
# Objects have no masks to draw: run-detect and run-video leave the choice to the service unless it is given.
CHOSEN := $(if $(filter file,$(origin OUTPUTS)),,--outputs $(OUTPUTS))
# More parameters of the service, e.g. ARGS="--max-img-size -1 --batch-size 4"
ARGS ?=

# The image and where it goes: PUBLISH=registry pushes to DOCKER_REGISTRY, PUBLISH=ivcap through the platform's CLI.
DOCKER_NAME ?= infer-with-paddle-paddle
DOCKER_REGISTRY ?=
DOCKER_PLATFORM ?= linux/amd64
DOCKER_BUILD_ARGS ?=
PUBLISH ?= registry
ENGINES ?= openvino,onnx

# TASK=segment or TASK=detect: describe a service with only the parameters of that task.
TASK ?=

# The service on the platform. SERVICE_ID empty: made of the account that the CLI is logged in to.
SERVICE_ID ?=
MODEL_ARTIFACT ?=
IMAGES_ARTIFACT ?=
IMAGE_ARTIFACT ?=
ORDER_ARGS ?=

GIT_COMMIT := $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
GIT_TAG := $(shell git describe --tags --abbrev=0 2>/dev/null || echo unknown)
IMAGE_LOCAL = $(DOCKER_NAME):$(GIT_COMMIT)
IMAGE_REMOTE = $(if $(filter ivcap,$(PUBLISH)),$(IMAGE_LOCAL),$(if $(DOCKER_REGISTRY),$(DOCKER_REGISTRY)/)$(IMAGE_LOCAL))

PY = $(VENV)/bin/python
VENV_ALL = .venv-all
VENV_PADDLE2 = .venv-paddle2
VENV_PADDLE_GPU = .venv-paddle-gpu
VENV_PEERS = .venv-peers
MARKED = needs_paddle or needs_export or needs_paddle2 or needs_peers
comma = ,
# Local runs: no ./cache folder beside the project (the SDK makes one at every start, and its cache is broken).
SERVICE = env IVCAP_CACHE_DIR= $(PY) infer_service.py
SHELL = /bin/bash
.SHELLFLAGS = -euo pipefail -c
.DEFAULT_GOAL = help
.DELETE_ON_ERROR:

.PHONY: help
help: ## list the commands
	@sed -nE 's/^([a-z0-9-]+):[^#]*## (.*)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 28

# ---- set up -------------------------------------------------------------------------------------------------

# $(call venv,FOLDER): an environment, by a Python that we support.
define venv
@$(PYTHON) -c 'import sys; v = sys.version_info; (3, 11) <= v < (3, 14) or sys.exit(f"Python 3.11, 3.12 or 3.13 \
is needed; $(PYTHON) is {v.major}.{v.minor}. Name another one: make PYTHON=python3.12 ...")'
@echo "== setting up $(1): this takes minutes the first time"
@test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
endef

# $(call pip,FOLDER): install there. $(call listed,FOLDER,ARGUMENTS): what tools/extras.py lists, there.
pip = $(1)/bin/python -m pip --disable-pip-version-check install --quiet
listed = $(1)/bin/python tools/extras.py $(2) | $(call pip,$(1)) $(3) -r /dev/stdin

# $(call project,FOLDER,EXTRAS): the project itself, editable. The SDK's own requirements do not import on
# Python 3.13; there it goes in without them, and pyproject.toml lists them instead.
define project
@$(call pip,$(1)) -e '.$(2)'
@$(1)/bin/python -c 'import sys; sys.exit(sys.version_info >= (3, 13))' || \
	$(call listed,$(1),--base --only ivcap-sdk-service --plain,--no-deps)
endef

# $(call around-paddleseg,FOLDER,WHERE FROM): all but torch, which goes in first; paddleseg without its
# requirements, which would overwrite cv2.
define around-paddleseg
@$(call listed,$(1),$(2) --without torch paddleseg)
@$(call listed,$(1),$(2) --only paddleseg,--no-deps)
endef

.PHONY: setup setup-test setup-all setup-paddle setup-paddle2 setup-paddle-gpu setup-export setup-peers
setup: $(VENV)/.run ## what the service needs, into .venv
setup-test: $(VENV)/.test ## [test]: what check and test need, into .venv
setup-paddle: $(VENV)/.paddle ## [paddle]: the paddle engine, for PIR archives, into .venv
setup-export: $(VENV)/.export ## [export]: what export_model needs, into .venv
setup-all: $(VENV_ALL)/.all ## [paddle,export,test]: what test-all needs, into .venv-all
setup-paddle2: $(VENV_PADDLE2)/.paddle2 ## Paddle 2.6.2, which writes .pdmodel, into .venv-paddle2
setup-peers: $(VENV_PEERS)/.peers ## the libraries that we are measured against, into .venv-peers
setup-paddle-gpu: $(VENV_PADDLE_GPU)/.paddle-gpu ## [paddle-gpu]: .pdmodel on a GPU, into .venv-paddle-gpu

$(VENV)/.run: pyproject.toml
	$(call venv,$(VENV))
	$(call project,$(VENV))
	@touch $@
$(VENV)/.test: $(VENV)/.run
	@echo "== adding the test tools to $(VENV)"
	@$(call listed,$(VENV),test)
	@touch $@
$(VENV)/.paddle: $(VENV)/.run
	@echo "== adding Paddle to $(VENV): about 900 MB"
	@$(call listed,$(VENV),paddle)
	@touch $@
$(VENV)/.export: $(VENV)/.run export_model/requirements-nodeps.txt
	@echo "== adding torch, Paddle and paddleseg to $(VENV): 2 GB and more"
	@$(call listed,$(VENV),export --only torch)
	$(call around-paddleseg,$(VENV),export)
	@$(call pip,$(VENV)) --no-deps -r export_model/requirements-nodeps.txt
	@touch $@
$(VENV_ALL)/.all: pyproject.toml export_model/requirements-nodeps.txt
	$(call venv,$(VENV_ALL))
	@$(call listed,$(VENV_ALL),export --only torch)
	$(call project,$(VENV_ALL),[paddle$(comma)test])
	$(call around-paddleseg,$(VENV_ALL),export)
	@$(call pip,$(VENV_ALL)) --no-deps -r export_model/requirements-nodeps.txt
	@touch $@
$(VENV_PADDLE2)/.paddle2: export_model/requirements-paddle2.txt
	$(call venv,$(VENV_PADDLE2))
	$(call around-paddleseg,$(VENV_PADDLE2),--file $<)
	@touch $@
# opencv-python and its headless twin are one folder: the one that imports without X goes in last.
$(VENV_PEERS)/.peers: tests/requirements-peers.txt
	$(call venv,$(VENV_PEERS))
	@$(call listed,$(VENV_PEERS),--file $<)
	@$(VENV_PEERS)/bin/python -m pip uninstall --quiet --yes opencv-python opencv-python-headless
	@$(call listed,$(VENV_PEERS),--file $< --only opencv-python-headless,--no-deps)
	@touch $@
$(VENV_PADDLE_GPU)/.paddle-gpu: pyproject.toml
	$(call venv,$(VENV_PADDLE_GPU))
	@$(call listed,$(VENV_PADDLE_GPU),paddle-gpu)
	@touch $@
	@echo '== the paddle engine runs there with QUADRAT_PADDLE_PYTHON="$(CURDIR)/$(VENV_PADDLE_GPU)/bin/python"'

# ---- run it here --------------------------------------------------------------------------------------------

# $(call fresh,NAME): an empty DATA/NAME for results; earlier ones move to DATA/NAME.old.
fresh = cd "$(CURDIR)" && mkdir -p "DATA/$(1)" && \
	if [ -n "$$(ls -A "DATA/$(1)")" ]; then rm -rf "DATA/$(1).old"; mv "DATA/$(1)" "DATA/$(1).old"; mkdir "DATA/$(1)"; fi
# A folder forgotten, or misspelt as IMAGE=, must not measure the examples in its place.
own = $(known)$(if $(filter IMAGES,$(GIVEN)),,$(error Name your images: make $@ IMAGES=FOLDER [MODEL=model.tgz]))
# $(call both,NAME): the example detector finds drawn rectangles and nothing else, so it goes with the examples only.
both = $(known)$(if $(GIVEN),$(if $(filter-out $(GIVEN),MODEL $(1)),$(error $@ takes your own by MODEL and $(1), or the \
	examples by neither. Say both: make $@ MODEL=model.tgz $(1)=FOLDER)))
# Every name that this file sets may be given; another one is a mistake.
NAMES := $(shell sed -nE 's/^([A-Za-z_]+) *[?:]?=.*/\1/p' $(firstword $(MAKEFILE_LIST)))
typed = $(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(name)))
known = $(foreach name,$(filter-out $(NAMES),$(typed)),$(error $(name) means nothing to make $@))
where = echo "== results are in $(CURDIR)/DATA/$(1)"
# The SDK resolves a collection and an artifact against different folders: give both as absolute paths.
model = "$$(realpath -m "$(MODEL)")"
images = "$$(realpath -m "$(IMAGES)")"
videos = "$$(realpath -m "$(VIDEOS)")"

.PHONY: run run-detect run-video run-collection run-batch run-data-proxy run-docker
run: setup ## measure the example images into DATA/run
	@$(known)$(call fresh,run)
	@$(SERVICE) --model $(model) --images $(images) --outputs $(OUTPUTS) $(ARGS) \
		--ivcap:in-dir "$(CURDIR)" --ivcap:out-dir "$(CURDIR)/DATA/run"
	@$(call where,run)

run-detect run-video: MODEL := $(if $(filter MODEL,$(GIVEN)),$(MODEL),examples/models/rectangles.tgz)
run-detect: IMAGES := $(if $(filter IMAGES,$(GIVEN)),$(IMAGES),examples/scenes)
run-detect: setup ## find the objects of the example scenes, into DATA/run-detect
	@$(call both,IMAGES)$(call fresh,run-detect)
	@$(SERVICE) --model $(model) --images $(images) $(CHOSEN) $(ARGS) \
		--ivcap:in-dir "$(CURDIR)" --ivcap:out-dir "$(CURDIR)/DATA/run-detect"
	@$(call where,run-detect)

run-video: setup ## find and follow the objects of the example videos, into DATA/run-video
	@$(call both,VIDEOS)$(call fresh,run-video)
	@$(SERVICE) --model $(model) --videos $(videos) $(CHOSEN) $(ARGS) \
		--ivcap:in-dir "$(CURDIR)" --ivcap:out-dir "$(CURDIR)/DATA/run-video"
	@$(call where,run-video)

run-collection: setup ## measure a folder of your own: MODEL=... IMAGES=..., into DATA/run-collection
	@$(own)$(call fresh,run-collection)
	@$(SERVICE) --model $(model) --images $(images) --outputs $(OUTPUTS) $(ARGS) \
		--ivcap:in-dir "$(CURDIR)" --ivcap:out-dir "$(CURDIR)/DATA/run-collection"
	@$(call where,run-collection)

run-batch: setup ## one order for each image below IMAGES, each into a folder of its own in DATA/run-batch
	@$(own)$(call fresh,run-batch)
	@failed=0; cd $(images); while IFS= read -r -d '' image; do \
		out="$(CURDIR)/DATA/run-batch/$${image#./}"; mkdir -p "$$out"; echo "== $$image"; \
		(cd "$(CURDIR)"; $(SERVICE) --model $(model) --image $(images)/"$${image#./}" --outputs $(OUTPUTS) $(ARGS) \
			--ivcap:in-dir "$(CURDIR)" --ivcap:out-dir "$$out" </dev/null) || failed=$$((failed + 1)); \
	done < <(find . -type f -not -path '*/.*' -regextype egrep -iregex '.*\.(bmp|jfif|jpe|jpe?g|mpo|png|tiff?|webp)' -print0 | sort -z); \
	if [ $$failed -gt 0 ]; then echo "== $$failed of the orders failed" >&2; exit 1; fi
	@$(call where,run-batch)

run-data-proxy: setup-test ## the service against a double of the platform's data proxy, into DATA/run-data-proxy
	@$(call fresh,run-data-proxy)
	@$(PY) -m tests.platform_double.run_order --model $(model) --images $(images) --out "$(CURDIR)/DATA/run-data-proxy" \
		--outputs $(OUTPUTS) $(ARGS)
	@$(call where,run-data-proxy)

run-docker: ## the image on the example images (after docker-build), into DATA/run-docker
	@$(call fresh,run-docker)
	$(DOCKER) run --rm --platform $(DOCKER_PLATFORM) --user "$$(id -u):$$(id -g)" -e IVCAP_INSIDE_CONTAINER= \
		-v $(model):/data/in/model.tgz:ro -v $(images):/data/in/images:ro -v "$(CURDIR)/DATA/run-docker:/data/out" \
		$(IMAGE_LOCAL) --model /data/in/model.tgz --images /data/in/images --outputs $(OUTPUTS) $(ARGS) \
		--ivcap:in-dir /data/in --ivcap:out-dir /data/out
	@$(call where,run-docker)

# ---- test ---------------------------------------------------------------------------------------------------

.PHONY: test test-extras test-all check bench docs
test: setup-test ## the run-time's tests, without paddle and torch
	$(PY) -m pytest -q -m 'not ($(MARKED))'

test-extras: setup-all setup-paddle2 setup-peers ## only the tests that need paddle, paddleseg, torch or our peers
	QUADRAT_PADDLE2_PYTHON="$(CURDIR)/$(VENV_PADDLE2)/bin/python" QUADRAT_PEERS_PYTHON="$(CURDIR)/$(VENV_PEERS)/bin/python" \
		$(VENV_ALL)/bin/python -m pytest -q -m '$(MARKED)'

test-all: test test-extras ## every test

check: setup-test ## ruff, ruff format, mypy
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

bench: setup-test ## the benchmarks in their short form
	$(PY) -m benchmarks.segment --smoke
	$(PY) -m benchmarks.detect --smoke
	$(PY) -m benchmarks.track --smoke
	$(PY) -m benchmarks.video --smoke

docs: setup ## write the generated files anew: service.json, the parameter reference
	$(PY) -m quadrat.describe

# ---- container and platform ---------------------------------------------------------------------------------

.PHONY: destination docker-build docker-publish service-description service-register run-ivcap
# The platform pulls the image from where it was pushed to.
destination:
	@test -n "$(DOCKER_REGISTRY)" -o "$(PUBLISH)" = ivcap || \
		{ echo "Say where the image goes: DOCKER_REGISTRY=host/path, or PUBLISH=ivcap" >&2; exit 2; }

docker-build: ## build the image; ENGINES=openvino,onnx,paddle adds paddle
	$(DOCKER) build --platform $(DOCKER_PLATFORM) --build-arg ENGINES=$(ENGINES) --build-arg GIT_TAG=$(GIT_TAG) \
		--build-arg GIT_COMMIT=$(GIT_COMMIT) --build-arg BUILD_DATE="$$(date -u +%Y-%m-%dT%H:%M:%SZ)" \
		-t $(IMAGE_LOCAL) $(DOCKER_BUILD_ARGS) .

docker-publish: destination docker-build ## push the image to DOCKER_REGISTRY, or with PUBLISH=ivcap through the CLI
ifeq ($(PUBLISH),ivcap)
	$(IVCAP) package push --force --local $(IMAGE_LOCAL)
else
	$(DOCKER) tag $(IMAGE_LOCAL) $(IMAGE_REMOTE)
	$(DOCKER) push $(IMAGE_REMOTE)
endif

PLATFORM = $(PY) tools/ivcap.py --cli "$(IVCAP)" --service-id "$(SERVICE_ID)" --name $(DOCKER_NAME)
service-description: setup ## print the order service's description, as the platform reads it
	@$(PLATFORM) describe --image $(IMAGE_REMOTE) --task "$(TASK)" $(if $(filter ivcap,$(PUBLISH)),--published)

service-register: destination setup ## register the service: by the CLI where it still can, else by REST
	@$(PLATFORM) register --image $(IMAGE_REMOTE) --task "$(TASK)" $(if $(filter ivcap,$(PUBLISH)),--published)

run-ivcap: setup ## place an order: MODEL_ARTIFACT=urn... IMAGES_ARTIFACT=urn... (or IMAGE_ARTIFACT=urn...)
	@$(PLATFORM) order $(if $(MODEL_ARTIFACT),model=$(MODEL_ARTIFACT)) \
		$(if $(IMAGES_ARTIFACT),images=$(IMAGES_ARTIFACT)) $(if $(IMAGE_ARTIFACT),image=$(IMAGE_ARTIFACT)) $(ORDER_ARGS)
