#!/usr/bin/env bash
# Trains on SAMSum from scratch, plain and with R-Drop; sets up the virtual environment first. --help: see run_samsum.py.
# experiments/run_samsum.sh FOLDER
set -euo pipefail
# shellcheck source=scripts/common/lib.sh
source "$(dirname "$0")/../scripts/common/lib.sh"
[[ -x $VENV/bin/python ]] || show_help "$@" # else it is that of the Python script
setup_venv examples
exec python -m experiments.run_samsum "$@"
