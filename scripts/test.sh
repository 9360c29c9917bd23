#!/usr/bin/env bash
# Sets up the virtual environment and runs the tests. Arguments go to pytest: scripts/test.sh -k kl
set -euo pipefail
source "$(dirname "$0")/lib.sh"
setup_venv examples test
cd "$ROOT"
exec python -m pytest "$@"
