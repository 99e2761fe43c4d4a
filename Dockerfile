# syntax=docker/dockerfile:1
# Targets: `cpu`, the app (what `docker build .` makes); `cuda`, the same for NVIDIA GPUs; `live`, live speech alone, without
# page and jobs; `cluster`, a machine of a Ray cluster. All run as user 10001 and keep nothing outside /models, /jobs, /avatars
# and /work. See docs/images.md.
ARG PYTHON=python:3.12-slim@sha256:78387bc3881b8273120a12ebe6c1ab22b018ccc2c9adf565ae1ac9b536e184ea

FROM scratch AS code
COPY LICENSE app.py /
COPY hybrid /hybrid
COPY scripts /scripts
COPY musetalk /musetalk

FROM ${PYTHON} AS base
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PATH=/opt/venv/bin:${PATH} \
    GRADIO_ANALYTICS_ENABLED=False MUSETALK_AVATARS=/avatars
RUN useradd --uid 10001 --create-home musetalk \
    && install --directory --owner=musetalk --group=musetalk /models /jobs /avatars /work /opt/venv /srv/musetalk
WORKDIR /srv/musetalk
USER 10001
RUN python3 -m venv /opt/venv
VOLUME ["/models", "/jobs", "/avatars"]
EXPOSE 7860
# Weights may have to be fetched before anything is served.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30m \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:7860/healthz')"]

# The packages come before the code, so that they stay as they are when only that changes. With TORCH_INDEX, the address at
# which PyTorch keeps its builds for CPUs, they come without CUDA's libraries, some 5 GB.
FROM base AS cpu-packages
ARG TORCH_INDEX
COPY requirements.lock ./
RUN if [ -n "${TORCH_INDEX}" ]; then \
      grep -E '^torch(vision)?==' requirements.lock > torch.txt \
      && pip install --no-deps --index-url "${TORCH_INDEX}" --requirement torch.txt \
      && grep -vE '^(nvidia|cuda|triton|torch|torchvision)\b' requirements.lock > rest.txt \
      && pip install --requirement rest.txt \
      && rm torch.txt rest.txt; \
    else \
      pip install --requirement requirements.lock; \
    fi

FROM base AS cuda-packages
COPY requirements.lock ./
RUN pip install --requirement requirements.lock

# What live speech needs of them, in the same versions.
FROM base AS live-packages
ARG TORCH_INDEX
COPY requirements.lock requirements-streaming.txt ./
RUN if [ -n "${TORCH_INDEX}" ]; then \
      grep -E '^torch==' requirements.lock > torch.txt \
      && pip install --no-deps --index-url "${TORCH_INDEX}" --requirement torch.txt \
      && rm torch.txt; \
    fi \
    && pip install --constraint requirements.lock --requirement requirements-streaming.txt

FROM live-packages AS live
COPY --from=code --chown=10001 / ./
RUN python -m compileall -q hybrid musetalk
ENTRYPOINT ["python", "-m", "musetalk.live"]
CMD ["--host", "0.0.0.0", "--port", "7860", "--models-dir", "/models"]

# All machines of a cluster have the same Ray, so its version is fixed like those of the lock file; that of s3fs follows
# from fsspec's there.
FROM cuda-packages AS cluster-packages
RUN pip install --constraint requirements.lock "ray[client]==2.60.0" s3fs

# Started anywhere, also by Ray, whose workers begin in folders of their own.
FROM cluster-packages AS cluster
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility,video \
    PYTHONPATH=/srv/musetalk RAY_USAGE_STATS_ENABLED=0 RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=90
COPY --from=code --chown=10001 / ./
RUN python -m compileall -q hybrid musetalk scripts
WORKDIR /work
VOLUME ["/models", "/work"]
HEALTHCHECK NONE
ENTRYPOINT ["ray", "start", "--block", "--object-store-memory=100000000"]
CMD ["--address=ray-head:6379"]

FROM cuda-packages AS cuda
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility,video
COPY --from=code --chown=10001 / ./
RUN python -m compileall -q hybrid musetalk scripts
ENTRYPOINT ["python", "-m", "musetalk"]
CMD ["app", "--host", "0.0.0.0", "--port", "7860", "--models-dir", "/models", "--jobs-dir", "/jobs/kept"]

FROM cpu-packages AS cpu
COPY --from=code --chown=10001 / ./
RUN python -m compileall -q hybrid musetalk scripts
ENTRYPOINT ["python", "-m", "musetalk"]
CMD ["app", "--host", "0.0.0.0", "--port", "7860", "--models-dir", "/models", "--jobs-dir", "/jobs/kept"]
