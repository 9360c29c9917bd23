#!/usr/bin/env bash
# The tables and the figure of README and docs, from results/; --check only compares. See build_results.py.
set -euo pipefail
# shellcheck source=scripts/common/lib.sh
source "$(dirname "$0")/../scripts/common/lib.sh"
[[ -x $VENV/bin/python ]] || show_help "$@" # else it is that of the Python script
setup_venv examples
exec python -m experiments.build_results "$@"
