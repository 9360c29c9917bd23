#!/usr/bin/env bash
# IWSLT14 German-English, ready for training in both directions; see usage below.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
source "$(dirname "$0")/common.sh"

usage() {
  cat <<'HELP'
usage: prepare-iwslt14.sh

Leaves in data/iwslt14.de-en: corpus/raw (text) and corpus/tok (Moses' tokens, lowercased), pieces (BPE) and
data-bin (for fairseq, in both directions); 160,239 / 7,283 / 6,750 pairs. Started again, it goes on where it
was, and tests the checksums of what is there.

Environment:
  BPE          subword-nmt (default) on the tokens, or sentencepiece on the text as it is, case kept: the same
               pairs, and an output that needs no detokeniser
  MERGES       joint BPE merges, or pieces for sentencepiece (10000)
  EXPECTED     pairs in train, valid and test ("160239 7283 6750"); for other data, other numbers
HELP
  usage_of_prepare data/iwslt14.de-en 500 de-en.tgz
}
[[ $# -eq 0 ]] || show_usage "unexpected argument: $1" "$@"

URL=https://dl.fbaipublicfiles.com/fairseq/data/iwslt14/de-en.tgz
LANGS=(de en)
TESTS=(TED.dev2010 TEDX.dev2012 TED.tst2010 TED.tst2011 TED.tst2012)
OUT=${OUT:-$ROOT/data/iwslt14.de-en}
BPE=${BPE:-subword-nmt}
MERGES=${MERGES:-10000}
SPLITS=(train valid test)
read_expected "160239 7283 6750"

corpus() {
  local text=$1/text lang kind files
  mkdir -p "$text"
  unpack "$OUT/download/de-en.tgz" "$text" de-en
  for lang in "${LANGS[@]}"; do
    python -m rdrop_tools.text.marked_up_text lines "$text/de-en/train.tags.de-en.$lang" >"$text/train.$lang"
    files=("${TESTS[@]/#/$text/de-en/IWSLT14.}")
    python -m rdrop_tools.text.marked_up_text segments "${files[@]/%/.de-en.$lang.xml}" >"$text/test.$lang"
  done
  local tokenise=(python -m rdrop_tools.text.tokenize_corpus "$1")
  local options=(--langs "${LANGS[@]}" --lowercase --keep-raw --workers "$WORKERS")
  "${tokenise[@]}" all "${options[@]}" --pair "$text"/train.{de,en} --max-tokens 175
  "${tokenise[@]}" test "${options[@]}" --pair "$text"/test.{de,en} --plain-apostrophes
  for kind in raw tok; do
    for lang in "${LANGS[@]}"; do
      awk 'NR % 23' "$1/$kind/all.$lang" >"$1/$kind/train.$lang"
      awk 'NR % 23 == 0' "$1/$kind/all.$lang" >"$1/$kind/valid.$lang"
      rm "$1/$kind/all.$lang"
    done
  done
  rm -r "$text"
}

check_prepare_settings
begin 500 BENCHMARK=iwslt14 LANGS=de-en
archive "$URL" de-en.tgz
run_stage "text and tokens" corpus corpus
[[ -e $OUT/pieces ]] || check_pairs IWSLT14 "$OUT"/corpus/tok/{train,valid,test}.en
make_pieces
