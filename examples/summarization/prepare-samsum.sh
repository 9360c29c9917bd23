#!/usr/bin/env bash
# SAMSum (dialogues and their summaries) for fairseq; see usage below.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/../../scripts/lib.sh"
# shellcheck source=examples/summarization/common.sh
source "$(dirname "$0")/common.sh"

CORPUS=samsum
NEEDED_MB=200
URL=https://arxiv.org/src/1911.12237v2/anc/corpus.7z

usage() {
  prepare_usage "Prepares SAMSum (Gliwa et al. 2019, arXiv 1911.12237, CC BY-NC-ND 4.0) for fairseq. To unpack its
archive it needs one of 7z, 7zz, 7za, bsdtar, or Python's py7zr." \
    "corpus.7z, or the {train,val,test}.json in it, or {train,valid,test}.{dialogue,summary}.gz"
}
[[ $# -eq 0 ]] || { usage; [[ $1 == -h || $1 == --help ]] && exit 0; die "unexpected argument: $1"; }

# unpack ARCHIVE FOLDER: the JSON files of the archive.
unpack() {
  local program
  for program in 7z 7zz 7za; do
    if command -v $program >/dev/null; then
      $program e -y "-o$2" "$1" >"$OUT/unpack.log" 2>&1 || die "$1 is damaged, see $OUT/unpack.log: delete it and start again"
      return
    fi
  done
  mkdir -p "$2"
  if command -v bsdtar >/dev/null; then
    bsdtar -xf "$1" -C "$2" >"$OUT/unpack.log" 2>&1 || die "$1 is damaged, see $OUT/unpack.log: delete it and start again"
  elif python -c 'import py7zr' 2>/dev/null; then
    python -m py7zr x "$1" "$2" >"$OUT/unpack.log" 2>&1 || die "$1 is damaged, see $OUT/unpack.log: delete it and start again"
  else
    die "nothing here unpacks $1: run '$VENV/bin/pip install py7zr' (or install 7zip) and start again, or unpack it" \
      "elsewhere and name the folder of its JSON files with LOCAL_FILES"
  fi
}

download() {
  local file files=(corpus.7z)
  if [[ -e ${LOCAL_FILES:-}/train.json ]]; then
    files=({train,val,test}.json)
  elif [[ -n ${LOCAL_FILES:-} && ! -e $LOCAL_FILES/corpus.7z ]]; then
    files=({train,valid,test}.{dialogue,summary}.gz)
  fi
  for file in "${files[@]}"; do fetch "$URL" "$1/$file"; done
  [[ ${files[0]} != corpus.7z ]] || unpack_json "$1"
}

unpack_json() { # the archive may hold its files in a folder
  rm -rf "$1/corpus"
  unpack "$1/corpus.7z" "$1/corpus"
  find "$1/corpus" -name '*.json' -exec mv -t "$1" {} +
}

prepare
