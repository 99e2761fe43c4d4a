#!/usr/bin/env bash
# Measure everything on one GPU, in under 8 minutes, and write benchmarks/gpu.md: see benchmarks/README.md.
#
#   benchmarks/on_gpu.sh [--wheels FOLDER] [--seconds N] [--only PART]... [--smoke]
#
# PYTHON names the interpreter (else .venv's, else python3); WHEELS is the folder of wheels, if --wheels is not given.
# Nothing is downloaded.
set -euo pipefail
cd "$(dirname "$0")/.."

wheels=${WHEELS:-}
if [ "${1:-}" = --wheels ]; then
  wheels=${2:?--wheels needs a folder}
  shift 2
fi
python=${PYTHON:-}
[ -n "$python" ] || { [ -x .venv/bin/python ] && python=.venv/bin/python || python=python3; }

if [ -n "$wheels" ]; then
  # Beside what the interpreter has, and without what the wheels ask for: that has to be there, or in the folder. Not
  # a virtual environment: one made by an interpreter that is in one itself would not see that one's packages.
  site=$(mktemp -d)
  trap 'rm -rf "$site"' EXIT
  "$python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-compile --target "$site" "$wheels"/*.whl
  export PYTHONPATH=$site${PYTHONPATH:+:$PYTHONPATH}
fi
export HF_HUB_OFFLINE=1
"$python" -m benchmarks.gpu "$@"
