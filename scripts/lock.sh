#!/bin/sh
# Writes both lock files anew from pyproject.toml: the newest versions within its bounds, wheels only,
# for every platform and Python from 3.11 on, each with its hashes. Needs uv (`pip install uv`).
set -eu
cd -- "$(dirname -- "$0")/.."

command -v uv >/dev/null 2>&1 || PATH=$PWD/.venv/bin:$PATH
command -v uv >/dev/null 2>&1 || { echo "lock.sh: error: uv is missing; pip install uv" >&2; exit 1; }

compile() {
    uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 \
        --only-binary :all: --generate-hashes --no-annotate --no-header --no-emit-index-url "$@" >/dev/null
}
compile --output-file requirements.lock
compile --constraint requirements.lock --group dev --output-file requirements-dev.lock
