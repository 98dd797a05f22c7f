# xrdml in a container:
#   docker build -t xrdml --build-arg TORCH_OPTIONS="--index-url URL" .
#   docker run --rm -v "$PWD:/data" xrdml infer weak.hkl
# URL is the index of PyTorch's CPU builds; without the argument pip takes its default, CUDA build.
# No Docker engine has built this yet: the development machines have none.
FROM python:3.11-slim

ARG TORCH_OPTIONS=""
ENV PIP_NO_CACHE_DIR=1 PIP_CONSTRAINT=/app/constraints.txt
WORKDIR /app
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY configs configs
COPY weights weights
COPY src src
RUN pip install ${TORCH_OPTIONS} torch==2.13.0 && pip install .

RUN useradd --create-home xrdml
USER xrdml
WORKDIR /data
ENTRYPOINT ["xrdml"]
