# FlashReserve with both engines: `docker build -t flashreserve .`; compose.yaml runs a whole cluster.

# The build installs exactly the versions that requirements/ pins, checked by hash.
FROM python:3.12.8-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
COPY requirements/build.txt requirements/runtime.txt requirements/
RUN python -m venv /opt/flashreserve \
    && pip install --require-hashes --requirement requirements/build.txt \
    && /opt/flashreserve/bin/pip install --require-hashes --requirement requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip wheel --no-deps --no-build-isolation --wheel-dir wheels . \
    && /opt/flashreserve/bin/pip install --no-deps wheels/*.whl

FROM python:3.12.8-slim-bookworm AS runtime
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin flashreserve \
    && install --directory --owner 10001 --group 10001 --mode 0700 /data
COPY --from=build /opt/flashreserve /opt/flashreserve
ENV PATH=/opt/flashreserve/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    FLASHRESERVE_DATA_DIR=/data \
    FLASHRESERVE_HOST=0.0.0.0 \
    FLASHRESERVE_PORT=3000
# A number, so that Kubernetes can check that it isn't root.
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:3000/livez', timeout=2)"]
ENTRYPOINT ["flashreserve"]
CMD ["serve"]
