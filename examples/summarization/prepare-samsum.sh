#!/usr/bin/env bash
# SAMSum (dialogues and their summaries) for fairseq; see usage below.
set -euo pipefail
# shellcheck source=examples/summarization/common.sh
source "$(dirname "$0")/common.sh"

CORPUS=samsum
NEEDED_MB=200
URL=https://arxiv.org/src/1911.12237v2/anc/corpus.7z

usage() {
  prepare_usage "Prepares SAMSum (Gliwa et al. 2019, arXiv 1911.12237, CC BY-NC-ND 4.0) for fairseq. To unpack its
archive it needs 7z or Python's py7zr." \
    "corpus.7z, or the {train,val,test}.json in it, or {train,valid,test}.{dialogue,summary}.gz"
}
[[ $# -eq 0 ]] || show_usage "unexpected argument: $1" "$@"

# unpack ARCHIVE FOLDER: with whatever is there.
unpack() {
  local command
  if python -c 'import py7zr' 2>/dev/null; then
    command=(python -m py7zr x "$1" "$2")
  elif command -v 7z >/dev/null; then
    command=(7z x -y "-o$2" "$1")
  else
    die "nothing here unpacks $1: run '$VENV/bin/pip install py7zr' (or install 7zip) and start again," \
      "or unpack it elsewhere and name the folder of its JSON files with LOCAL_FILES"
  fi
  "${command[@]}" >"$OUT/unpack.log" 2>&1 || damaged "$1" ", see $OUT/unpack.log"
}

download() { # FOLDER
  local file files=(corpus.7z) local_files=${LOCAL_FILES:-}
  if [[ -n $local_files && -e $local_files/train.json ]]; then
    files=({train,val,test}.json)
  elif [[ -n $local_files && ! -e $local_files/corpus.7z ]]; then
    files=({train,valid,test}.{dialogue,summary}.gz)
  fi
  for file in "${files[@]}"; do fetch "$URL" "$1/$file"; done
  [[ ${files[0]} == corpus.7z ]] || return 0
  rm -rf "$1/corpus" && mkdir "$1/corpus"
  unpack "$1/corpus.7z" "$1/corpus"
  find "$1/corpus" -name '*.json' -exec mv -t "$1" {} + # whatever folders are in the archive
}

prepare
