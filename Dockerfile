FROM python:3.13.9-slim-trixie AS wheel

WORKDIR /src
COPY pyproject.toml README.md LICENSE requirements.lock ./
COPY handrail handrail
# What builds it is locked, and stays in this stage.
RUN awk '/^[^ ]/ { wanted = /^setuptools==/ } wanted' requirements.lock > build.lock \
    && pip install --require-hashes -r build.lock \
    && pip wheel --no-deps --no-build-isolation --wheel-dir /wheels .

FROM python:3.13.9-slim-trixie

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /srv/shop

# Before the sources, so that a change of ours does not install the world again.
COPY requirements-run.lock ./
RUN pip install --require-hashes -r requirements-run.lock

COPY --from=wheel /wheels /wheels
RUN pip install --no-deps --no-index /wheels/*.whl \
    && useradd --system --create-home handrail \
    && install -d -m 1777 /var/lib/handrail  # any user may be given to the container

# The shop runs from its folder: pyproject.toml names its App.
COPY pyproject.toml ./
COPY domain domain
COPY workflows workflows
COPY activities activities
COPY projections projections
COPY consumers consumers
COPY api api
COPY runtime runtime

USER handrail
ENV HANDRAIL_API_HOST=0.0.0.0 \
    HANDRAIL_DATA_DIR=/var/lib/handrail \
    HANDRAIL_LOG_FORMAT=json \
    HANDRAIL_READY_FILE=/tmp/ready
ENTRYPOINT ["handrail"]
CMD ["--help"]
