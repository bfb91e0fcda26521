# -- Builder: the pinned dependencies, each checked by its hash, and the two wheels ---------------
FROM python:3.12-slim AS builder

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1

WORKDIR /build
COPY requirements/ requirements/
RUN python -m venv /opt/tidegauge \
    && /opt/tidegauge/bin/pip install --require-hashes -r requirements/run.txt \
    && pip install --require-hashes -r requirements/build.txt

COPY pyproject.toml README.md LICENSE ./
COPY service/ service/
COPY probes/ probes/
COPY alerts/ alerts/
COPY dashboards/ dashboards/
RUN pip wheel --no-deps --no-build-isolation --wheel-dir dist ./probes . \
    && /opt/tidegauge/bin/pip install --no-deps dist/tidegauge*.whl \
    && /opt/tidegauge/bin/pip check

# -- Final: Python, the environment made above, and a user who owns nothing but /data -------------
FROM python:3.12-slim

LABEL org.opencontainers.image.title="tidegauge" \
      org.opencontainers.image.description="Production monitoring that uses labeling functions as drift probes" \
      org.opencontainers.image.licenses="Apache-2.0"

ENV PATH=/opt/tidegauge/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HEALTH_URL=http://127.0.0.1:8080/healthz \
    TIDEGAUGE_HOST=0.0.0.0 \
    TIDEGAUGE_PORT=8080 \
    TIDEGAUGE_DATABASE=sqlite:////data/tidegauge.db

COPY --from=builder /opt/tidegauge /opt/tidegauge

# A number, so that Kubernetes can see that it is not root (runAsNonRoot).
RUN mkdir /data && chown 10001:10001 /data
USER 10001:10001

# SQLite and tidegauge.yaml; in production TIDEGAUGE_DATABASE names a PostgreSQL.
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8080

# urlopen raises, and so exits with 1, on anything but a success.
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(os.environ['HEALTH_URL'], timeout=4)"]

ENTRYPOINT ["tidegauge"]
CMD ["run", "--help"]
