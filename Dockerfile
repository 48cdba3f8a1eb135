# On a CPU:   docker build --tag k-merl .
#             docker run --rm k-merl
# On GPUs:    docker build --tag k-merl:gpu --build-arg TORCH=cu130 .
#             docker run --rm --gpus all --ipc host --volume DATA:DATA k-merl:gpu dvc repro ...
FROM python:3.12-slim-bookworm

RUN apt-get update \
    && apt-get install --yes --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home k-merl \
    && install --directory --owner k-merl /k-merl
USER k-merl
WORKDIR /k-merl

ARG TORCH=cpu
ENV UV_TORCH_BACKEND=$TORCH
COPY --chown=k-merl . .
RUN make setup
ENV PATH=/k-merl/.venv/bin:$PATH
CMD ["make", "repro"]
