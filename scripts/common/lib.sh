# Shared by the scripts of this project: messages, the virtual environment, stages, downloads, and settings.sh.
# shellcheck shell=bash
# Source it after `set -euo pipefail`.

if ((BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] < 404)) || ! { realpath -ms / && flock --version; } &>/dev/null; then
  echo "error: these scripts need Bash 4.4 (this is $BASH_VERSION), GNU coreutils and util-linux" >&2
  exit 1
fi

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
VENV=${VENV:-$ROOT/.venv}

# shellcheck source-path=SCRIPTDIR
source "$ROOT/scripts/common/settings.sh"

die() { # MESSAGE...: in one line, whatever is in it
  local message="error: $*"
  echo "${message//[$'\n\r']/ }" >&2
  exit 1
}

# show_help [ARGUMENT...]: if the first is -h or --help, prints the comment at the head of the script, and exits.
show_help() {
  [[ ${1:-} == -h || ${1:-} == --help ]] || return 0
  sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
  exit 0
}

# show_usage MESSAGE [ARGUMENT...]: calls the script's usage. Unless the first argument is -h or --help, dies of MESSAGE.
show_usage() { usage; [[ ${2:-} == -h || ${2:-} == --help ]] && exit; die "$1"; }

say() { echo "[$(date +%H:%M:%S)] $*"; }

stage= # the one at work, for the message when it fails or is interrupted
trap '[[ -z $stage ]] || echo "stopped in the stage \"$stage\"; started again, it goes on with this stage" >&2' EXIT

# run_stage NAME OUTPUT FUNCTION [ARGUMENT...]: calls FUNCTION $OUT/OUTPUT.part [ARGUMENT...], and renames what it
# wrote to $OUT/OUTPUT. Skipped when $OUT/OUTPUT exists: it is complete.
run_stage() {
  local output=$OUT/$2
  stage=$1
  if [[ ! -e $output ]]; then
    say "$1"
    rm -rf "${output:?}.part"
    "$3" "$output.part" "${@:4}"
    mv "$output.part" "$output"
  fi
  stage=
}

# python_version PYTHON: prints it as 3.13; fails if PYTHON does not start.
python_version() { "$1" -c 'import sys; print("{}.{}".format(*sys.version_info))' 2>/dev/null; }

# check_python PYTHON: dies, before anything is downloaded, unless fairseq can be installed with it.
check_python() {
  local version needed ready=yes
  version=$(python_version "$1") || die "PYTHON: $1 does not start, or is no Python"
  [[ $version =~ ^3\.1[0-3]$ ]] \
    || die "there is no fairseq build for $1, Python $version: name one from 3.10 to 3.13 with PYTHON," \
      "or a new folder for its environment with VENV"
  needed="python$version-venv"
  "$1" -c 'import ensurepip' 2>/dev/null || ready=
  if [[ $version == 3.10 || $version == 3.13 ]]; then # no wheels: fairseq is compiled
    needed+=" g++ python$version-dev"
    command -v g++ >/dev/null && [[ -e $("$1" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h ]] \
      || ready=
  fi
  [[ -n $ready ]] || die "$1 lacks what the installation needs; on Debian or Ubuntu: apt-get install $needed"
}

# create_venv: $VENV, by $PYTHON or the first Python that fairseq can be installed with, those for which it has wheels
# before the others; without one, by uv.
create_venv() {
  local python names=(python3.11 python3.12 python3.13 python3.10 python3 python)
  [[ -z ${PYTHON:-} ]] || names=("$PYTHON")
  for python in "${names[@]}"; do
    [[ -n ${PYTHON:-} || $(python_version "$python") =~ ^3\.1[0-3]$ ]] || continue
    check_python "$python"
    "$python" -m venv "$VENV"
    return
  done
  command -v uv >/dev/null \
    || die "no Python with a fairseq build is here (3.10 to 3.13): install one and name it with PYTHON=/path/to/python3," \
      "or install uv, which brings its own (https://docs.astral.sh/uv)"
  uv venv --quiet --seed --allow-existing --python 3.12 "$VENV"
}

# check_room_for_venv: dies unless there is room for $VENV, if it is to be made.
check_room_for_venv() { [[ $VENV == none || -e $VENV/bin/python ]] || check_room "$VENV" 3000; }

# setup_venv EXTRA...: makes python that of $VENV, with what install_venv installs; with VENV=none it stays the one on
# PATH, as it is. Either takes the packages of this clone, whatever other copy of them is installed, or lies in the
# folder that the script is started from.
setup_venv() {
  if [[ $VENV == none ]]; then
    python -c 'import sys, importlib.util as u
sys.exit(not all(map(u.find_spec, ("torch", "fairseq", "sacrebleu", "sentencepiece"))))' 2>/dev/null \
      || die "VENV=none: the python on PATH does not start, or lacks torch, fairseq, sacrebleu or sentencepiece:" \
        "activate the environment that has them, or leave VENV out for one of the script's own"
  else
    install_venv "$@"
    export PATH="$VENV/bin:$PATH"
  fi
  export PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}" PYTHONSAFEPATH=1 # of Python 3.11 on
}

# install_venv EXTRA...: $VENV with fairseq, this package, editable, and its extras, at the versions of constraints.txt,
# or of the file for its Python where there is one. Does nothing when that has been done.
install_venv() {
  local extras stamp extra constraints missing=
  extras=$(IFS=,; echo "fairseq,$*")
  stamp="$VENV/.installed-$(cat "$ROOT/pyproject.toml" "$ROOT"/constraints*.txt | sha256sum | cut -c1-16)"
  for extra; do [[ -e $stamp-$extra ]] || missing=yes; done
  [[ -n $missing ]] || return 0
  # An interrupted creation leaves a Python without pip.
  if "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then check_python "$VENV/bin/python"; else create_venv; fi
  say "installing into $VENV (once; needs a few minutes and up to 5 GB)"
  constraints=$ROOT/constraints-$(python_version "$VENV/bin/python").txt
  [[ -e $constraints ]] || constraints=$ROOT/constraints.txt
  # torch comes first: as somebody's dependency it may be a newer build with gigabytes of CUDA packages, and where
  # fairseq is compiled, an isolated build would fetch one more.
  "$VENV/bin/python" -m pip install --quiet -c "$constraints" torch==2.13.0 cython numpy setuptools wheel
  "$VENV/bin/python" -m pip install --quiet -c "$constraints" --no-build-isolation --use-pep517 -e "${ROOT}[$extras]"
  # fairseq brings a torchaudio that does not load without CUDA, and then transformers' Trainer does not load either.
  "$VENV/bin/python" -c 'import torchaudio' 2>/dev/null \
    || "$VENV/bin/python" -m pip uninstall --quiet --yes torchaudio
  for extra; do touch "$stamp-$extra"; done
}

# fetch URL FILE [SHA256]: FILE, unless it is there, from URL (resumes a partial download), or from the folder
# LOCAL_FILES, under its own name. Its checksum is tested every time: SHA256 for a download; for a download without
# one, and for a file of the user's, what it was at first, kept in FILE.sha256.
# DOWNLOADER="command" is called as: command URL FILE.
fetch() {
  local url=$1 file=$2 expected=${3:-} own
  own=${LOCAL_FILES:-}/$(basename "$file")
  mkdir -p "$(dirname "$file")"
  if [[ ! -e $file ]]; then
    rm -f "$file.sha256"
    if [[ -n ${LOCAL_FILES:-} ]]; then
      [[ -s $own ]] || die "LOCAL_FILES: $own is not there or empty (it stands for $url)"
      ln -sf "$(realpath "$own")" "$file"
    else
      say "downloading $url"
      if [[ -n ${DOWNLOADER:-} ]]; then
        $DOWNLOADER "$url" "$file.part"
      else
        curl -fL --retry 3 --continue-at - --progress-bar -o "$file.part" "$url"
      fi && [[ -s $file.part ]] || die "could not download $url: start again, it resumes"
      mv "$file.part" "$file"
    fi
  fi
  if [[ -L $file || -z $expected || -e $file.sha256 ]]; then # the last: a link that was copied as a file
    [[ -e $file.sha256 ]] || { sha256sum <"$file" >"$file.sha256.part" && mv "$file.sha256.part" "$file.sha256"; }
    expected=$(cut -d' ' -f1 "$file.sha256")
  fi
  sha256sum --status --check <<<"$expected  $file" && return
  [[ ! -L $file ]] || die "$(realpath "$file") has a wrong checksum, it is not what $OUT was begun with: put that" \
    "back, or choose another folder with OUT"
  die "$file has a wrong checksum: delete it and start again"
}

# damaged FILE [HINT]: dies, after forgetting a file of the user's, so that a whole one is taken.
damaged() {
  local file
  file=$(realpath "$1")
  [[ ! -L $1 ]] || rm -f "$1"
  die "$file is damaged${2:-}: delete or replace it, and start again"
}

lines() { LC_ALL=C awk 'END {print NR}' "$1"; } # FILE: how many it has; the last one may lack its line feed

# same_lines FILE FILE...: dies unless all have as many lines as the first.
same_lines() {
  local expected file number
  expected=$(lines "$1")
  for file; do
    number=$(lines "$file")
    ((number == expected)) || die "$file has $number lines, expected $expected as in $1"
  done
}
