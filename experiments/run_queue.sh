#!/usr/bin/env bash
# Works off a list of trainings; sets up the virtual environment first. --help: see run_queue.py.
# experiments/run_queue.sh results/multi30k/runs.csv FOLDER                        one a core
# experiments/run_queue.sh results/multi30k/runs.csv FOLDER --device cuda --jobs 6  six at a time on a GPU
set -euo pipefail
# shellcheck source=scripts/common/lib.sh
source "$(dirname "$0")/../scripts/common/lib.sh"
[[ -x $VENV/bin/python ]] || show_help "$@" # else it is that of the Python script
setup_venv examples
exec python -m experiments.run_queue "$@"
