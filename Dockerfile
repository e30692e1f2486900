# One image for every part of the virtual L3 machine: the command decides which part a container is.
# Nothing here needs BuildKit, so Debian's Docker engine builds it too.
FROM python:3.11-slim-bookworm

# PYTHONSAFEPATH: a file in a mounted folder must not shadow a module of ours.
# One thread a process: dozens of device processes share a few cores.
ENV PATH=/opt/l3/venv/bin:$PATH \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OPENBLAS_NUM_THREADS=1 \
    NUMBA_CACHE_DIR=/opt/l3/numba

# A venv, because Debian's own Python refuses system-wide installs; wheels only, so no compiler is needed.
COPY requirements.lock /opt/l3/
RUN python -m venv /opt/l3/venv \
    && pip install --no-cache-dir --disable-pip-version-check --only-binary :all: \
        --require-hashes -r /opt/l3/requirements.lock

# What may come along is listed in .dockerignore; of it the package is installed, as anywhere else. /run/l3 is
# there because a tmpfs mounted on it gets its mode from it when a container starts a second time.
COPY . /opt/l3/source/
RUN pip install --no-cache-dir --disable-pip-version-check --no-index --no-deps --no-build-isolation \
        /opt/l3/source \
    && rm -r /opt/l3/source \
    && groupadd --gid 10001 l3 \
    && useradd --uid 10001 --gid 10001 --home-dir /nonexistent --no-create-home l3 \
    && install -d -o l3 -g l3 /opt/l3/numba /opt/l3/tables /var/lib/l3 \
    && install -d -m 1777 /run/l3

WORKDIR /opt/l3
USER l3

# A small job compiles the timeline once, here, instead of in every orchestrator's first job.
RUN L3_TABLES=/tmp/tables l3 run fixed:16:4 --machine l3-mini --requests 4 --in-process --json > /dev/null

ENV L3_TABLES=/opt/l3/tables
CMD ["l3", "--help"]
