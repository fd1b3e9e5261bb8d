# Every command of the project. `make` alone lists them.
#
# Tools and names. Each can be set on the command line (make run PYTHON=python3.12):
PYTHON ?= python3
VENV ?= .venv
DOCKER ?= docker
IVCAP ?= ivcap

# What `run` and the other run targets measure.
MODEL ?= examples/models/seagrass-tiny.tgz
IMAGES ?= examples/images
OUTPUTS ?= pseudo,overlay
# What run-enhance does to pictures.
STEPS ?= lab-grey-world,clahe
VIDEOS ?= examples/videos
# Which of them are set, on the command line or in the environment.
GIVEN := $(strip $(foreach name,MODEL IMAGES VIDEOS,$(if $(filter file,$(origin $(name))),,$(name))))
# Detectors have no masks to draw: unless OUTPUTS is set, run-detect and run-video leave the choice to the service.
CHOSEN := $(if $(filter file,$(origin OUTPUTS)),,--outputs $(OUTPUTS))
# run-collection takes archives of any task: unless OUTPUTS is set, masks get an overlay too.
FITTING = $(or $(CHOSEN),$$($(VENV)/bin/python -m quadrat describe $(model) | grep 'pictures:.*overlay' >/dev/null && echo --outputs $(OUTPUTS)))
# More parameters of the service, e.g. ARGS="--max-img-size -1 --batch-size 4"
ARGS ?=

# The image and its destination: PUBLISH=registry pushes to DOCKER_REGISTRY, PUBLISH=ivcap uses the platform's CLI.
DOCKER_NAME ?= infer-with-paddle-paddle
DOCKER_REGISTRY ?=
DOCKER_PLATFORM ?= linux/amd64
DOCKER_BUILD_ARGS ?=
PUBLISH ?= registry
ENGINES ?= openvino,onnx

# TASK=segment or TASK=detect: describe a service with only the parameters of that task.
TASK ?=

# The service on the platform. An empty SERVICE_ID is derived from the account that the CLI is logged in to.
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
# Local runs: no ./cache folder in the project (the SDK creates one at every start, and its cache is broken).
SERVICE = env IVCAP_CACHE_DIR= $(PY) infer_service.py
# What people run; the platform's door, infer_service.py, takes the same parameters.
QUADRAT = $(PY) -m quadrat run
SHELL = /bin/bash
.SHELLFLAGS = -euo pipefail -c
.DEFAULT_GOAL = help
.DELETE_ON_ERROR:

.PHONY: help
help: ## list the commands
	@sed -nE 's/^([a-z0-9-]+):[^#]*## (.*)/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 28

# ---- set up -------------------------------------------------------------------------------------------------

# $(call venv,FOLDER): an environment with a supported Python.
define venv
@$(PYTHON) -c 'import sys; v = sys.version_info; (3, 11) <= v < (3, 14) or sys.exit(f"Python 3.11, 3.12 or 3.13 \
is needed; $(PYTHON) is {v.major}.{v.minor}. Choose another one: make PYTHON=python3.12 ...")'
@echo "== setting up $(1): the first time takes minutes"
@test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
endef

# $(call pip,FOLDER): install into it. $(call listed,FOLDER,ARGUMENTS): install what tools/extras.py lists into it.
pip = $(1)/bin/python -m pip --disable-pip-version-check install --quiet
listed = $(1)/bin/python tools/extras.py $(2) | $(call pip,$(1)) $(3) -r /dev/stdin

# $(call project,FOLDER,EXTRAS): install the project itself, editable. The SDK's own requirements do not import on
# Python 3.13; there the SDK is installed without them, and pyproject.toml lists them instead.
define project
@$(call pip,$(1)) -e '.$(2)'
@$(1)/bin/python -c 'import sys; sys.exit(sys.version_info >= (3, 13))' || \
	$(call listed,$(1),--base --only ivcap-sdk-service --plain,--no-deps)
endef

# $(call around-paddleseg,FOLDER,SOURCE): install everything except torch, which is installed first; paddleseg without
# its requirements, which would overwrite cv2.
define around-paddleseg
@$(call listed,$(1),$(2) --without torch paddleseg)
@$(call listed,$(1),$(2) --only paddleseg,--no-deps)
endef

.PHONY: setup setup-test setup-pack setup-formats setup-search setup-all setup-paddle setup-paddle2 setup-paddle-gpu setup-export setup-peers
setup: $(VENV)/.run ## set up .venv with what the service needs
setup-test: $(VENV)/.test ## add [test] to .venv: what check and test need
setup-paddle: $(VENV)/.paddle ## add [paddle] to .venv: the paddle engine, for PIR archives
setup-export: $(VENV)/.export ## add [export] to .venv: what export_model needs
setup-pack: $(VENV)/.pack ## add [pack] to .venv: what quadrat pack needs for ONNX networks
setup-formats: $(VENV)/.formats ## add [formats] to .venv: HEIC and JPEG XL
setup-search: $(VENV)/.search ## add [search] to .venv: faiss, for indexes of more than 200,000 rows
setup-all: $(VENV_ALL)/.all ## set up .venv-all with [paddle,export,test]: what test-all needs
setup-paddle2: $(VENV_PADDLE2)/.paddle2 ## set up .venv-paddle2 with Paddle 2.6.2, which writes .pdmodel
setup-peers: $(VENV_PEERS)/.peers ## set up .venv-peers with the libraries that the benchmarks compare with
setup-paddle-gpu: $(VENV_PADDLE_GPU)/.paddle-gpu ## set up .venv-paddle-gpu with [paddle-gpu]: .pdmodel on a GPU

$(VENV)/.run: pyproject.toml
	$(call venv,$(VENV))
	$(call project,$(VENV))
	@touch $@
$(VENV)/.test: $(VENV)/.run
	@echo "== adding the test tools to $(VENV)"
	@$(call listed,$(VENV),test)
	@touch $@
$(VENV)/.pack: $(VENV)/.run
	@$(call listed,$(VENV),pack)
	@touch $@
$(VENV)/.formats: $(VENV)/.run
	@$(call listed,$(VENV),formats)
	@touch $@
$(VENV)/.search: $(VENV)/.run
	@$(call listed,$(VENV),search)
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
# opencv-python and opencv-python-headless share one folder: the one that imports without X is installed last.
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
	@echo '== to run the paddle engine there, set QUADRAT_PADDLE_PYTHON="$(CURDIR)/$(VENV_PADDLE_GPU)/bin/python"'

# ---- run it here --------------------------------------------------------------------------------------------

# $(call place,NAME): where results go. A run of the user's own data has a folder of its own in runs/, so nothing is ever
# replaced or removed; a run of the examples replaces that of the examples before it.
STAMP := $(shell date +%Y-%m-%d-%H%M%S)
place = $(if $(GIVEN),runs/$(STAMP)-$(1),DATA/$(1))
over = $(if $(GIVEN),,--overwrite)
# $(call measure,NAME,COMMAND): run a command that delivers into "$$out". If it delivers nothing, as for a wrong
# parameter, there is no folder of it afterwards; otherwise runs/latest is a link to it.
measure = cd "$(CURDIR)"; out="$(CURDIR)/$(call place,$(1))"; mkdir -p "$$out"; status=0; $(2) || status=$$?; \
	rmdir "$$out" 2>/dev/null || $(if $(GIVEN),ln -sfn "$$(basename "$$out")" runs/latest,true); \
	if [ $$status -gt 0 ]; then exit $$status; fi; echo "== results are in $$out"
# If MODEL or IMAGES is forgotten, or misspelt as IMAGE=, the target must not use the examples instead.
own = $(known)$(if $(filter-out $(GIVEN),MODEL IMAGES),$(error Set the model and the folder of your images: make $@ \
	MODEL=model.tgz IMAGES=FOLDER))
# $(call both,NAME): the example detector finds drawn rectangles and nothing else, so it is used with the examples only.
both = $(known)$(if $(GIVEN),$(if $(filter-out $(GIVEN),MODEL $(1)),$(error Set both MODEL and \
	$(1), or neither to run the examples: make $@ MODEL=model.tgz $(1)=FOLDER)))
# Every variable that this file sets can be set by the user; any other one is a mistake.
NAMES := $(shell sed -nE 's/^([A-Za-z_]+) *[?:]?=.*/\1/p' $(firstword $(MAKEFILE_LIST)))
typed = $(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(name)))
known = $(foreach name,$(filter-out $(NAMES),$(typed)),$(error $(name) is not a variable of this Makefile; see the top of the file))
# The SDK resolves collections and artifacts against different folders, so both are absolute paths.
model = "$$(realpath -m "$(MODEL)")"
images = "$$(realpath -m "$(IMAGES)")"
videos = "$$(realpath -m "$(VIDEOS)")"

.PHONY: run run-detect run-video run-enhance run-classify run-collection run-batch run-data-proxy run-docker
run: setup ## measure the example images; results are in DATA/run
	@$(known)$(call measure,run,$(QUADRAT) $(model) $(images) -o "$$out" --outputs $(OUTPUTS) $(over) $(ARGS))

run-detect run-video: MODEL := $(if $(filter MODEL,$(GIVEN)),$(MODEL),examples/models/rectangles.tgz)
run-detect: IMAGES := $(if $(filter IMAGES,$(GIVEN)),$(IMAGES),examples/scenes)
run-detect: setup ## detect objects in the example scenes; results are in DATA/run-detect
	@$(call both,IMAGES)$(call measure,run-detect,$(QUADRAT) $(model) $(images) -o "$$out" $(CHOSEN) $(over) $(ARGS))

run-video: setup ## follow objects in the example videos; results are in DATA/run-video
	@$(call both,VIDEOS)$(call measure,run-video,$(QUADRAT) $(model) $(videos) --sequence -o "$$out" $(CHOSEN) $(over) $(ARGS))

run-enhance: setup ## enhance the example images by STEPS; results are in DATA/run-enhance; look at before-after.jpg first
	@$(known)$(if $(filter MODEL VIDEOS,$(GIVEN)),$(error run-enhance takes IMAGES and STEPS: make $@ IMAGES=FOLDER))$(call \
		measure,run-enhance,$(PY) -m quadrat enhance $(images) -o "$$out" --enhance $(STEPS) $(over) $(ARGS))

run-classify: MODEL := $(if $(filter MODEL,$(GIVEN)),$(MODEL),examples/models/fire-tiny.tgz)
run-classify: IMAGES := $(if $(filter IMAGES,$(GIVEN)),$(IMAGES),examples/fires)
run-classify: setup ## label the example scenes, fire or no fire; results are in DATA/run-classify
	@$(call both,IMAGES)$(call measure,run-classify,$(QUADRAT) $(model) $(images) -o "$$out" $(CHOSEN) $(over) $(ARGS))

run-collection: setup ## measure your own folder: MODEL=... IMAGES=...; results are in runs/DATE-run-collection and runs/latest
	@$(own)$(call measure,run-collection,$(QUADRAT) $(model) $(images) -o "$$out" $(FITTING) $(ARGS))

run-batch: setup ## place one order per image below IMAGES, each with its own folder in runs/DATE-run-batch
	@$(own)$(call measure,run-batch,$(batch))

# One order for each image; the number of failed orders is told at the end.
batch = (failed=0; cd $(images); while IFS= read -r -d '' image; do \
		mkdir -p "$$out/$${image\#./}"; echo "== $$image"; \
		(cd "$(CURDIR)"; $(SERVICE) --model $(model) --image $(images)/"$${image\#./}" --outputs $(OUTPUTS) $(ARGS) \
			--ivcap:in-dir "$(CURDIR)" --ivcap:out-dir "$$out/$${image\#./}" </dev/null) || failed=$$((failed + 1)); \
	done < <(find . -type f -not -path '*/.*' -regextype egrep -iregex '.*\.(bmp|jfif|jpe|jpe?g|mpo|png|tiff?|webp)' -print0 | sort -z); \
	if [ $$failed -gt 0 ]; then echo "== $$failed of the orders failed" >&2; exit 1; fi)

run-data-proxy: setup-test ## run the service against a local stand-in for the platform's data proxy; results are in DATA/run-data-proxy
	@$(call measure,run-data-proxy,$(PY) -m tests.platform_double.run_order --model $(model) --images $(images) \
		--out "$$out" --outputs $(OUTPUTS) $(ARGS))

run-docker: ## run the container image on the example images (after docker-build); results are in DATA/run-docker
	@$(call measure,run-docker,$(DOCKER) run --rm --platform $(DOCKER_PLATFORM) --user "$$(id -u):$$(id -g)" -e IVCAP_INSIDE_CONTAINER= \
		-v $(model):/data/in/model.tgz:ro -v $(images):/data/in/images:ro -v "$$out:/data/out" \
		$(IMAGE_LOCAL) --model /data/in/model.tgz --images /data/in/images --outputs $(OUTPUTS) $(over) $(ARGS) \
		--ivcap:in-dir /data/in --ivcap:out-dir /data/out)

# ---- test ---------------------------------------------------------------------------------------------------

.PHONY: test test-in-process test-extras test-all check bench docs
test: setup-test ## run the tests that need neither paddle nor torch
	$(PY) -m pytest -q -m 'not ($(MARKED))'

test-in-process: setup-test ## run those of them that start no other program: faster, for a second Python
	$(PY) -m pytest -q -m 'not (process or $(MARKED))'

test-extras: setup-all setup-paddle2 setup-peers ## run only the tests that need paddle, paddleseg, torch or .venv-peers
	QUADRAT_PADDLE2_PYTHON="$(CURDIR)/$(VENV_PADDLE2)/bin/python" QUADRAT_PEERS_PYTHON="$(CURDIR)/$(VENV_PEERS)/bin/python" \
		$(VENV_ALL)/bin/python -m pytest -q -m '$(MARKED)'

test-all: test test-extras ## run all tests

check: setup-test ## run ruff, ruff format and mypy
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

bench: setup-test ## run the benchmarks in a short form
	$(PY) -m benchmarks.segment --smoke
	$(PY) -m benchmarks.detect --smoke
	$(PY) -m benchmarks.track --smoke
	$(PY) -m benchmarks.video --smoke
	$(PY) -m benchmarks.passes --smoke
	$(PY) -m benchmarks.tuning --smoke
	$(PY) -m benchmarks.steps --smoke

docs: setup ## regenerate service.json and the parameter reference
	$(PY) -m quadrat.describe

# ---- container and platform ---------------------------------------------------------------------------------

.PHONY: destination docker-build docker-publish service-description service-register run-ivcap
# The platform pulls the image from the registry that it was pushed to.
destination:
	@test -n "$(DOCKER_REGISTRY)" -o "$(PUBLISH)" = ivcap || \
		{ echo "Set the destination of the image: DOCKER_REGISTRY=host/path, or PUBLISH=ivcap" >&2; exit 2; }

docker-build: ## build the container image; ENGINES=openvino,onnx,paddle adds paddle
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
service-description: setup ## print the service description; TASK=... includes only the parameters of that task
	@$(PLATFORM) describe --image $(IMAGE_REMOTE) --task "$(TASK)" $(if $(filter ivcap,$(PUBLISH)),--published)

service-register: destination setup ## register the service, with the CLI if it supports that, otherwise with REST
	@$(PLATFORM) register --image $(IMAGE_REMOTE) --task "$(TASK)" $(if $(filter ivcap,$(PUBLISH)),--published)

run-ivcap: setup ## place an order: MODEL_ARTIFACT=urn... IMAGES_ARTIFACT=urn... (or IMAGE_ARTIFACT=urn...)
	@$(PLATFORM) order $(if $(MODEL_ARTIFACT),model=$(MODEL_ARTIFACT)) \
		$(if $(IMAGES_ARTIFACT),images=$(IMAGES_ARTIFACT)) $(if $(IMAGE_ARTIFACT),image=$(IMAGE_ARTIFACT)) $(ORDER_ARGS)
