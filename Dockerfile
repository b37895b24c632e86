# The serving image contains chainzrule/ without training, models/, and the base dependencies with one ONNX Runtime and what checks
# signatures, in the versions and files that requirements/ lists. It contains no torch, no compiler and no caches.
#
#   docker build -t chainzrule .
#   docker run --rm --read-only -p 127.0.0.1:8000:8000 chainzrule
#
# For NVIDIA GPUs (a driver of the 580 series or newer and the NVIDIA container toolkit on the host):
#
#   docker build --build-arg DEVICE=gpu -t chainzrule:gpu .
#   docker run --rm --read-only --gpus all -p 127.0.0.1:8000:8000 chainzrule:gpu
#
# Without a package index: mount a folder of wheels and tell pip, for example
#   --volume "$PWD/wheels:/wheels:ro" --build-arg PIP_ARGS="--no-index --find-links /wheels"   (podman, buildah)
#
# The base images are named by tag. To build on one image for good, name it by digest (docs/operations.md says how to find it):
#   --build-arg CPU_BASE=python:3.11-slim@sha256:...   or   --build-arg GPU_BASE=...
#
# Podman before 4.4 overlooks the default of DEVICE: give it `--build-arg DEVICE=cpu`, and `--format docker` for the
# HEALTHCHECK.

ARG DEVICE=cpu
ARG CPU_BASE=python:3.11-slim
# onnxruntime-gpu 1.31 is built for CUDA 13.0 and cuDNN 9, which this image brings; its Python is Ubuntu's 3.12.
ARG GPU_BASE=nvidia/cuda:13.0.1-cudnn-runtime-ubuntu24.04

# --- The Python that both stages below run on, one for each DEVICE; only the one in use is built. ---
FROM ${CPU_BASE} AS python-cpu
ENV CHAINZRULE_DEVICE=cpu

FROM ${GPU_BASE} AS python-gpu
# Refuses to start where no GPU works, instead of serving slowly from the CPU.
ENV CHAINZRULE_DEVICE=cuda
# Ubuntu keeps one version of these; the tag of the base image is what pins them.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

# --- The dependencies, in a virtual environment that the last stage copies. ---
# The name of a stage above, not an image.
# hadolint ignore=DL3006
FROM python-${DEVICE} AS dependencies
ARG DEVICE
ARG PIP_ARGS=""
WORKDIR /build
COPY requirements requirements
# Only the dependencies are installed: the service runs from its source, so training/ never enters the image. Each is a wheel whose
# sha256 is listed, whatever the index may serve, so none runs code of its own while it is installed.
# PIP_ARGS holds several words.
# hadolint ignore=SC2086
RUN python3 -m venv /opt/venv \
    && /opt/venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check ${PIP_ARGS} \
        --require-hashes --no-deps --only-binary :all: --requirement "requirements/${DEVICE}.txt" \
    && /opt/venv/bin/python -m pip check \
    && /opt/venv/bin/python -m pip uninstall --yes --quiet pip setuptools

# --- What is shipped. ---
# hadolint ignore=DL3006
FROM python-${DEVICE} AS serving
LABEL org.opencontainers.image.title="chainzrule" \
      org.opencontainers.image.version="0.2.0" \
      org.opencontainers.image.description="Serves every prediction together with how stable it is." \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=dependencies /opt/venv /opt/venv
WORKDIR /app
COPY LICENSE ./
# In chainzrule/ the service is a link to this folder, and the training one to a folder that is not here: neither is copied.
COPY chainzrule chainzrule
COPY service chainzrule/service
COPY models /models
# Bytecode cannot be written on a read-only root: it is compiled here, or every start would compile it anew.
RUN ["/opt/venv/bin/python", "-m", "compileall", "-q", "chainzrule"]
# ONNX Runtime 1.29 and later report their use to their maker unless told not to before they are imported.
ENV PATH=/opt/venv/bin:$PATH \
    ORT_DISABLE_TELEMETRY=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    CHAINZRULE_HOST=0.0.0.0 \
    CHAINZRULE_PORT=8000 \
    CHAINZRULE_MODELS=/models
# A number, so that Kubernetes can tell that it is not root.
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ['CHAINZRULE_PORT'] + '/healthz', timeout=2)"]
# Python itself is process 1: SIGTERM reaches the service, which drains before it stops.
ENTRYPOINT ["python", "-m", "chainzrule", "serve"]
