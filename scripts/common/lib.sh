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

# find_python: prints the interpreter for the virtual environment, $PYTHON or the first that fairseq can be installed
# with, those for which it has wheels before the others; nothing when there is none.
find_python() {
  local python
  [[ -z ${PYTHON:-} ]] || { echo "$PYTHON"; return; }
  for python in python3.11 python3.12 python3.13 python3.10 python3 python; do
    [[ ! $(python_version "$python") =~ ^3\.1[0-3]$ ]] || { echo "$python"; return; }
  done
}

# check_python PYTHON: dies, before anything is downloaded, unless fairseq can be installed with it.
check_python() {
  local version packages=() # Debian's, of what is not there
  version=$(python_version "$1") || die "PYTHON: $1 does not start, or is no Python"
  case $version in
    3.11 | 3.12) ;; # fairseq has wheels
    3.10 | 3.13)
      command -v g++ >/dev/null || packages+=(g++)
      [[ -e $("$1" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h ]] \
        || packages+=("python$version-dev")
      ;;
    *) die "there is no fairseq build for $1, Python $version: name one from 3.10 to 3.13 with PYTHON," \
      "or a new folder for its environment with VENV" ;;
  esac
  "$1" -c 'import ensurepip' 2>/dev/null || packages+=("python$version-venv")
  [[ ${#packages[@]} -eq 0 ]] \
    || die "$1 lacks what the installation needs; on Debian or Ubuntu: apt-get install ${packages[*]}"
}

# create_venv: the virtual environment $VENV, by the Python of find_python or, without one, by uv.
create_venv() {
  local python
  python=$(find_python)
  if [[ -n $python ]]; then
    check_python "$python"
    "$python" -m venv "$VENV" || die "$python could not create $VENV, see above"
  elif command -v uv >/dev/null; then
    uv venv --quiet --seed --allow-existing --python 3.12 "$VENV" || die "uv could not create $VENV, see above"
  else
    die "no Python with a fairseq build is here (3.10 to 3.13): install one and name it with PYTHON=/path/to/python3," \
      "or install uv, which brings its own (https://docs.astral.sh/uv)"
  fi
}

# check_python_on_path: dies unless the python on PATH has what all scripts need. A tool names what it lacks beyond that.
check_python_on_path() {
  local missing
  missing=$(python -c 'from importlib.util import find_spec as find
print(*(name for name in ("torch", "fairseq", "sacrebleu", "sentencepiece") if find(name) is None))') \
    || die "VENV=none: the python on PATH does not start"
  [[ -z $missing ]] || die "VENV=none: $(command -v python) lacks $missing: activate the environment that has them, or" \
    "leave VENV out for one of the script's own"
}

# check_room_for_venv: dies unless there is room for $VENV, if it is to be made.
check_room_for_venv() { [[ $VENV == none || -e $VENV/bin/python ]] || check_room "$VENV" 3000; }

# setup_venv EXTRA...: makes python that of $VENV, with what install_venv installs; with VENV=none it stays the one on
# PATH, as it is. Either takes the packages of this clone, whatever other copy of them is installed, or lies in the
# folder that the script is started from.
setup_venv() {
  if [[ $VENV == none ]]; then
    check_python_on_path
  else
    install_venv "$@"
    export PATH="$VENV/bin:$PATH"
  fi
  export PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}" PYTHONSAFEPATH=1 # of Python 3.11 on
  [[ . -ef $ROOT || ! -e rdrop_tools || $(python_version python) != 3.10 ]] \
    || die "$PWD has an rdrop_tools of its own, which Python 3.10 would take: start the script from another folder"
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
  "$VENV/bin/python" -m pip install --quiet -c "$constraints" torch==2.13.0 cython numpy setuptools wheel \
    || die "pip could not install torch 2.13.0, see above"
  "$VENV/bin/python" -m pip install --quiet -c "$constraints" --no-build-isolation --use-pep517 -e "${ROOT}[$extras]" \
    || die "pip could not install the requirements of pyproject.toml, see above"
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
  local url=$1 file=$2 expected=${3:-} name actual
  name=$(basename "$file")
  mkdir -p "$(dirname "$file")"
  if [[ ! -e $file ]]; then
    if [[ -n ${LOCAL_FILES:-} ]]; then
      [[ -s $LOCAL_FILES/$name ]] || die "LOCAL_FILES: $LOCAL_FILES/$name is not there or empty (it stands for $url)"
      ln -sf "$(realpath "$LOCAL_FILES/$name")" "$file"
    else
      say "downloading $url"
      if [[ -n ${DOWNLOADER:-} ]]; then
        $DOWNLOADER "$url" "$file.part" || die "DOWNLOADER ($DOWNLOADER) could not download $url"
      else
        curl -fL --retry 3 --continue-at - --progress-bar -o "$file.part" "$url" \
          || die "could not download $url, for the reason above: start again, it resumes"
      fi
      [[ -s $file.part ]] || die "what came from $url is empty: start again"
      mv "$file.part" "$file"
    fi
    rm -f "$file.sha256"
  fi
  actual=$(sha256sum <"$file" | cut -d' ' -f1)
  [[ ! -L $file ]] || expected=
  if [[ -e $file.sha256 ]]; then
    expected=$(<"$file.sha256")
  elif [[ -z $expected ]]; then
    echo "$actual" >"$file.sha256.part" && mv "$file.sha256.part" "$file.sha256"
    expected=$actual
  fi
  [[ $actual == "$expected" ]] && return
  [[ ! -L $file ]] || die "$(realpath "$file") has a wrong checksum, it is not what $OUT was begun with: put that" \
    "back, or choose another folder with OUT"
  die "$file has a wrong checksum: delete it and start again"
}

# damaged FILE [HINT]: dies, after forgetting the checksum of a file of the user's, so that a whole one is taken.
damaged() {
  local file=$1
  if [[ -L $file ]]; then
    file=$(realpath "$file")
    rm -f "$1" "$1.sha256"
    die "$file is damaged${2:-}: replace it and start again"
  fi
  die "$file is damaged${2:-}: delete it and start again"
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
