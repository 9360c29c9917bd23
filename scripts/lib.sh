# Shared by the scripts of this project: messages, the virtual environment, downloads.
# shellcheck shell=bash
# Source it after `set -euo pipefail`.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=${VENV:-$ROOT/.venv}

die() {
  echo "error: $*" >&2
  exit 1
}

say() { echo "[$(date +%H:%M:%S)] $*"; }

# supported_python: the interpreter for the virtual environment, $PYTHON or the first that has a fairseq build.
supported_python() {
  local python
  for python in ${PYTHON:-python3.11 python3.12 python3.10 python3}; do
    if "$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null; then
      echo "$python"
      return
    fi
  done
  die "no Python with a fairseq build found (3.10 to 3.12; $(${PYTHON:-python3} --version 2>&1)):" \
    "install Python 3.11 or name one with PYTHON=/path/to/python3.11"
}

# setup_venv EXTRA...: $VENV with this package, editable, and its extras, at the versions of constraints.txt.
# Does nothing when that has been done.
setup_venv() {
  local extras stamp python extra missing=
  extras=$(IFS=,; echo "$*")
  stamp="$VENV/.installed-$(cat "$ROOT/setup.py" "$ROOT/constraints.txt" | sha256sum | cut -c1-16)"
  for extra; do [[ -e $stamp-$extra ]] || missing=yes; done
  if [[ -n $missing ]]; then
    python=$(supported_python)
    say "installing into $VENV (once; needs a few minutes and up to 2 GB)"
    [[ -x $VENV/bin/python ]] || "$python" -m venv "$VENV" || die "cannot create $VENV: is python3-venv installed?"
    # torch comes first: as somebody's dependency it may be a newer build with gigabytes of CUDA packages.
    "$VENV/bin/python" -m pip install --quiet -c "$ROOT/constraints.txt" torch==2.13.0 \
      || die "pip could not install torch 2.13.0, see above"
    "$VENV/bin/python" -m pip install --quiet -c "$ROOT/constraints.txt" -e "${ROOT}[$extras]" \
      || die "pip could not install the requirements of setup.py, see above"
    for extra; do touch "$stamp-$extra"; done
  fi
  export PATH="$VENV/bin:$PATH"
}

# check_writable DIR MEGABYTES: creates DIR; dies unless it can be written and has that much room.
check_writable() {
  local free
  { mkdir -p "$1" && touch "$1/.writable" && rm "$1/.writable"; } 2>/dev/null ||
    die "cannot write to $1: make it writable or choose another folder (--help says how)"
  free=$(df -Pk "$1" | awk 'NR == 2 {print int($4 / 1024)}')
  ((free >= $2)) || die "$1 has $free MB free, $2 MB are needed: make room or choose another folder (--help says how)"
}

# download URL FILE: resumes a partial download. DOWNLOADER="command" is called as: command URL FILE.
download() {
  [[ -e $2 ]] && return
  say "downloading $1"
  if [[ -n ${DOWNLOADER:-} ]]; then
    $DOWNLOADER "$1" "$2.part" || die "$DOWNLOADER could not download $1"
  else
    curl -fL --retry 3 --continue-at - --progress-bar -o "$2.part" "$1" \
      || die "could not download $1: check the network and start again, it resumes"
  fi
  mv "$2.part" "$2"
}

# count_lines NUMBER FILE...: dies unless each FILE has NUMBER lines.
count_lines() {
  local expected=$1 file lines
  shift
  for file in "$@"; do
    lines=$(wc -l <"$file")
    ((lines == expected)) || die "$file has $lines lines, expected $expected"
  done
}
