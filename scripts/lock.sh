#!/bin/sh
# Writes the lock files anew from pyproject.toml, wheels only, for every platform and Python from 3.11 on, each
# version with its hashes. Needs uv (`pip install uv`).
#
#   scripts/lock.sh            requirements.lock, requirements-dev.lock: the newest versions within the bounds
#   scripts/lock.sh --oldest   requirements-oldest.lock: the oldest that the bounds allow, for ./l3 test --oldest
set -eu
cd -- "$(dirname -- "$0")/.."

command -v uv >/dev/null 2>&1 || PATH=$PWD/.venv/bin:$PATH
command -v uv >/dev/null 2>&1 || { echo "lock.sh: error: uv is missing; pip install uv" >&2; exit 1; }

compile() {
    uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 --group build \
        --only-binary :all: --generate-hashes --no-annotate --no-header --no-emit-index-url "$@" >/dev/null
}
case ${1-} in
    "")
        compile --output-file requirements.lock
        compile --constraint requirements.lock --group dev --output-file requirements-dev.lock
        ;;
    --oldest)
        compile --resolution lowest-direct --group dev --output-file requirements-oldest.lock
        ;;
    *)
        echo "lock.sh: error: unknown argument '$1' (there is: --oldest)" >&2
        exit 2
        ;;
esac
