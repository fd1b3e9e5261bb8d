# The order service as a container image: `make docker-build` builds it, `make run-docker` runs it on the examples.
FROM python:3.11-slim-bookworm

# Any of openvino, onnx and paddle; paddle more than doubles the size of the image.
ARG ENGINES=openvino,onnx

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /app

# Install the requirements first, because they change less often than the code. Remove OpenVINO's plug-ins for devices
# that a container does not have, and its readers for formats that no archive contains: a tenth of the image.
# Without paddle, the build fails if the packages take 850 MB or more.
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

# The platform may run the container under its own user id, so folders that are written to are writable by all users.
RUN useradd --create-home --uid 10001 quadrat; \
    mkdir -p /data/in /data/out /data/cache /data/tmp; \
    chown -R quadrat: /data; \
    chmod 1777 /data/out /data/cache /data/tmp
ENV QUADRAT_CACHE_DIR=/data/cache TMPDIR=/data/tmp PYTHONPATH=/app

# The platform always runs `python /app/service.py` and ignores the entry point.
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
