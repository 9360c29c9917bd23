#!/usr/bin/env bash
# Sets up the virtual environment and runs the tests, two files at a time. Arguments go to pytest:
# scripts/test.sh -k kl; scripts/test.sh -n 0 for one at a time.
set -euo pipefail
source "$(dirname "$0")/common/lib.sh"
show_help "$@"
setup_venv examples huggingface test
cd "$ROOT"
# Two processes with two OpenMP threads each on two cores would wait for each other most of the time.
export OMP_NUM_THREADS=1
exec python -m pytest -n 2 --dist loadfile --durations=15 "$@"
