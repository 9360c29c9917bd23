#!/usr/bin/env bash
# Measures on a GPU that one has for minutes: tests, loss, training step, a profile, and trainings in the time left.
# scripts/measure_gpu.sh OUT [SECONDS]     --help: see experiments/measure_gpu.py
# The Python is the python3 on PATH, or PYTHON, as it is, with what stands on PYTHONPATH. Nothing is downloaded.
set -euo pipefail
# shellcheck source=scripts/common/lib.sh
source "$(dirname "$0")/common/lib.sh"
python=$("${PYTHON:-python3}" -c 'import sys; print(sys.executable)') || die "PYTHON: ${PYTHON:-python3} does not start"

# Wheels that were unpacked to a folder have no commands on PATH: these stand for them.
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
wrap() { # COMMAND ARGUMENT...: a command of this name that calls the Python with these arguments
  { printf '#!/bin/bash\nexec' && printf ' %q' "$python" "${@:2}" && echo ' "$@"'; } >"$bin/$1"
  chmod +x "$bin/$1"
}
wrap python
wrap python3
for command in train hydra_train preprocess generate interactive validate; do
  wrap "fairseq-${command//_/-}" -m "fairseq_cli.$command"
done
wrap subword-nmt -c 'from subword_nmt.subword_nmt import main; main()'
export PATH="$bin:$PATH" PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}" OMP_NUM_THREADS=1 VENV=none
python -m experiments.measure_gpu "$@"
