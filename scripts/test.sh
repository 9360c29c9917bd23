#!/usr/bin/env bash
# Sets up the virtual environment and runs the tests, as many files at a time as there are cores, at most four.
# Arguments go to pytest: scripts/test.sh -k kl; scripts/test.sh -n 0 for one file at a time.
set -euo pipefail
source "$(dirname "$0")/common/lib.sh"
show_help "$@"
setup_venv examples huggingface test
cd "$ROOT"
# Processes with as many OpenMP threads as cores, each, would wait for each other most of the time.
export OMP_NUM_THREADS=1
# In the order of their names, the recipes' and the queue's, which take longest, are not the last.
exec python -m pytest -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder --durations=15 "$@"
