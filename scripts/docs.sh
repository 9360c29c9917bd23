#!/usr/bin/env bash
# Builds the reference of the Python API from the docstrings, by pdoc, into docs/api.
set -euo pipefail
source "$(dirname "$0")/common/lib.sh"
[[ $# -eq 0 ]] || { echo "usage: scripts/docs.sh"; [[ $1 == -h || $1 == --help ]] && exit 0; die "unexpected argument: $1"; }
setup_venv docs huggingface
cd "$ROOT"
python -m pdoc --docformat google --output-directory docs/api rdrop_fairseq
say "done: docs/api/index.html"
