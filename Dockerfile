# The order service as an image: `make docker-build` builds it, `make run-docker` tries it.
FROM python:3.11-slim-bookworm

# Any of openvino, onnx and paddle; paddle more than doubles the image.
ARG ENGINES=openvino,onnx

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /app

# The requirements first: they change less often than the code. OpenVINO's plug-ins for devices that a container
# does not have, and its readers of formats that no archive holds, are a tenth of the image.
# Without paddle the packages stay under 850 MB, or the image is not built.
COPY pyproject.toml ./
COPY tools/extras.py tools/
RUN set -eu; extra=; without=; \
    for engine in $(echo "$ENGINES" | tr , ' '); do case "$engine" in \
      openvino|onnx) ;; \
      paddle) extra=paddle; apt-get update -q; apt-get install -y -q --no-install-recommends libgomp1; \
        rm -rf /var/lib/apt/lists/* ;; \
      *) echo "ENGINES: $engine is none of openvino, onnx, paddle" >&2; exit 2 ;; \
    esac; done; \
    case ",$ENGINES," in *,openvino,*) ;; *) without="$without openvino" ;; esac; \
    case ",$ENGINES," in *,onnx,*) ;; *) without="$without onnxruntime" ;; esac; \
    python tools/extras.py $extra --base --without $without > requirements.txt; \
    pip install --quiet -r requirements.txt; \
    site=$(python -c 'import numpy, pathlib; print(pathlib.Path(numpy.__file__).parent.parent)'); \
    for part in intel_gpu_plugin intel_npu_plugin tensorflow_frontend tensorflow_lite_frontend pytorch_frontend \
      jax_frontend gguf_frontend; do rm -f "$site"/openvino/libs/libopenvino_$part.so*; done; \
    rm -f "$site"/openvino/libs/cache.json; \
    size=$(du -sm "$site" | cut -f1); echo "site-packages: $size MB"; \
    [ -n "$extra" ] || [ "$size" -lt 850 ]

# The platform may run the container under a user id of its own: what is written to is open to all.
RUN useradd --create-home --uid 10001 quadrat; \
    mkdir -p /data/in /data/out /data/cache /data/tmp; \
    chown -R quadrat: /data; \
    chmod 1777 /data/out /data/cache /data/tmp
ENV QUADRAT_CACHE_DIR=/data/cache TMPDIR=/data/tmp PYTHONPATH=/app

# `python /app/service.py` is what the platform runs, whatever the entry point says.
COPY quadrat quadrat
COPY predictor.py NOTICE LICENSE ./
COPY infer_service.py service.py
RUN python -m compileall -q .

ARG GIT_TAG=unknown
ARG GIT_COMMIT=unknown
ARG BUILD_DATE=unknown
ENV IVCAP_SERVICE_VERSION=$GIT_TAG IVCAP_SERVICE_COMMIT=$GIT_COMMIT IVCAP_SERVICE_BUILD=$BUILD_DATE

USER quadrat
ENTRYPOINT ["python", "/app/service.py"]
