# xrdml in a container, for CPUs by default (docs/docker.md):
#   docker build -t xrdml .
#   docker build -t xrdml:cuda --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/data" xrdml infer weak.hkl
#   docker run --rm -v xrdml-results:/app/results -w /app --entrypoint make xrdml reproduce SCALE=smoke
FROM debian:bookworm-slim AS build

# Where PyTorch comes from: the index of its CPU builds, or of those for one version of CUDA.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_CONSTRAINT=/app/constraints.txt PATH=/opt/venv/bin:$PATH
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /app

# Dependencies change rarely, and come before the source.
COPY constraints.txt pyproject.toml ./
RUN python3 -m venv /opt/venv \
    && pip install --no-deps ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch \
    && python -c "import tomllib; p = tomllib.load(open('pyproject.toml', 'rb')); print('\n'.join(p['project']['dependencies']))" > /tmp/requirements.txt \
    && pip install -r /tmp/requirements.txt \
    && rm -rf /tmp/requirements.txt /opt/venv/lib/python3.11/site-packages/torch/include

COPY . .
RUN pip install --no-deps --editable . && touch /opt/venv/.installed

FROM debian:bookworm-slim
LABEL org.opencontainers.image.title="xrdml" org.opencontainers.image.licenses="MIT"
RUN apt-get update \
    && apt-get install -y --no-install-recommends make python3 \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
RUN useradd --uid 1000 --create-home xrdml \
    && install -d -o xrdml -g xrdml /data /app/results /app/runs

# VENV: where the Makefile finds everything installed. Any user may run it, also one without a home.
ENV PATH=/opt/venv/bin:$PATH VENV=/opt/venv MPLCONFIGDIR=/tmp/matplotlib
USER xrdml
WORKDIR /data
ENTRYPOINT ["xrdml"]
CMD ["--help"]
