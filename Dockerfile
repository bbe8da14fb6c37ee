# bulk for a scheduler that runs containers; docs/operations.md has the CronJob. It runs as user 10001 and writes only to
# /data, which is to be a disk (the ledger is there), and to /tmp.
FROM python:3.13.9-slim-trixie@sha256:326df678c20c78d465db501563f3492d17c42a4afe33a1f2bf5406a1d56b0e86 AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY bulk ./bulk
RUN python -m venv /opt/bulk \
    && /opt/bulk/bin/python -m pip install --no-cache-dir --disable-pip-version-check '.[fast,excel,fleet]' \
    && /opt/bulk/bin/python -m pip uninstall --yes --quiet pip

FROM python:3.13.9-slim-trixie@sha256:326df678c20c78d465db501563f3492d17c42a4afe33a1f2bf5406a1d56b0e86
RUN useradd --uid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin bulk \
    && install --directory --owner=bulk --group=bulk --mode=700 /data
COPY --from=build /opt/bulk /opt/bulk
ENV PATH=/opt/bulk/bin:$PATH \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /data
VOLUME /data
# Kubernetes and `docker stop` send SIGTERM: bulk records what is in flight and ends in seconds.
STOPSIGNAL SIGTERM
ENTRYPOINT ["bulk"]
CMD ["--help"]
