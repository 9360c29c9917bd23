#!/usr/bin/env bash
# Format, lint, types and shell scripts, with the pinned tools. Changes nothing.
set -euo pipefail
source "$(dirname "$0")/common/lib.sh"
[[ $# -eq 0 ]] || { echo "usage: scripts/check.sh"; [[ $1 == -h || $1 == --help ]] && exit 0; die "unexpected argument: $1"; }
setup_venv examples test check
cd "$ROOT"
ruff format --check .
ruff check .
mypy
git ls-files '*.sh' .ci/run | xargs shellcheck -x -P scripts
