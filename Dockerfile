FROM python:3.13.9-slim-trixie

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /srv/handrail

# Before the sources, so that a change of ours does not install the world again.
COPY requirements.lock ./
RUN pip install --require-hashes -r requirements.lock

COPY pyproject.toml README.md ./
COPY handrail handrail
COPY domain domain
COPY workflows workflows
COPY activities activities
COPY projections projections
COPY consumers consumers
COPY api api
COPY runtime runtime
RUN pip install --no-deps --no-build-isolation . \
    && useradd --system --create-home handrail \
    && install -d -o handrail /var/lib/handrail

USER handrail
ENV HANDRAIL_API_HOST=0.0.0.0 \
    HANDRAIL_DATA_DIR=/var/lib/handrail \
    HANDRAIL_LOG_FORMAT=json \
    HANDRAIL_READY_FILE=/tmp/ready
ENTRYPOINT ["handrail"]
CMD ["--help"]
