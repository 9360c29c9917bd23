#!/usr/bin/env bash
# A parallel corpus of your own, ready for training in both directions; see usage below.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
source "$(dirname "$0")/common.sh"
source "$(dirname "$0")/recipes.sh"

usage() {
  cat <<'HELP'
usage: prepare-text.sh NAME.SRC-TGT FOLDER

prepare-text.sh mine.en-ja FOLDER takes FOLDER/{train,valid,test}.{en,ja}, a sentence a line, or a table each,
{train,valid,test}.{tsv,csv,jsonl}; all may be .gz. valid may also be called val, validation or dev, and test devtest.
FOLDER may also be one such table, which is train. Without valid, some of train is held out, and what repeats it is
taken out of train; no test set is fine too. Leaves in data/mine.en-ja: corpus/raw (text), pieces (SentencePiece) and
data-bin (for fairseq, in both directions). Started again, it goes on where it was.

Environment:
  SRC_COLUMN TGT_COLUMN   columns or keys of a table, by name, or by number from 1 where it has no line of names
               (SRC and TGT; of two columns the first and the second)
  HELDOUT      pairs for valid, where there is no valid (1000, or a tenth of fewer than 10,000)
  BPE          sentencepiece (default) on the text as it is, or subword-nmt on Moses' tokens, if they give the text back
  MERGES       pieces, or BPE merges (6000; 10000 from 100,000 pairs on, 32000 from a million; below 10,000 pairs 0.6
               a pair, and one for each character)
  SEPARATE     1: a vocabulary for each language, in place of one for both
  TOKENIZE     only where evaluate.sh will need one, because sacreBLEU has none for the language
HELP
  usage_of_prepare data/NAME.SRC-TGT 500
}
[[ $# -eq 2 && $1 != -* ]] || show_usage "expected a name, such as mine.en-ja, and a folder, got: $*" "$@"

[[ $1 =~ ^([A-Za-z0-9][A-Za-z0-9_-]*)\.($LANGUAGE)-($LANGUAGE)$ ]] \
  || die "the name must look like mine.en-ja, with codes of the languages (pt_BR, not pt-BR), got $1"
NAME=${BASH_REMATCH[1]} SRC=${BASH_REMATCH[2]} TGT=${BASH_REMATCH[4]}
! is_benchmark "$NAME" || die "the name $NAME is a benchmark's, with a recipe of its own: choose another name"
[[ $SRC != "$TGT" ]] || die "the languages of $1 must be two, got $SRC twice"
LANGS=("$SRC" "$TGT")
OUT=${OUT:-$ROOT/data/$1}
BPE=${BPE:-sentencepiece}
HELDOUT=${HELDOUT:-} SEPARATE=${SEPARATE:-0}
SPLITS=(train valid) # and test, if there is one
check '0|1' SEPARATE
check_tokenize
check_prepare_settings
read_own_text "$2" "$SRC" "$TGT"
check_room "$OUT" "${MIN_FREE_MB:-500}"
[[ $SEPARATE == 0 ]] || JOINT=
CHECK=()
[[ $BPE == sentencepiece ]] || CHECK=(--moses)

corpus() {
  local split
  "${READ[@]}" --quiet --out "$1/raw"
  [[ $BPE == subword-nmt ]] || return 0
  for split in train valid test; do
    [[ ! -e $1/raw/$split.$SRC ]] || python -m rdrop_tools.text.tokenize_corpus "$1" "$split" \
      --langs "${LANGS[@]}" --pair "${LANGS[@]/#/$1/raw/$split.}" --workers "$WORKERS"
  done
}

setup_venv examples
# Reads all of the text: nothing is written if it is not as it should be.
found=$("${READ[@]}" "${CHECK[@]}")
read -r SHA256 PAIRS tokenizer <<<"$found"
choose_tokenize "$TGT" "${tokenizer#-}"
if [[ -z ${MERGES:-} ]]; then
  SENTENCEPIECE=(--about)
  if ((PAIRS < 100000)); then MERGES=6000; elif ((PAIRS < 1000000)); then MERGES=10000; else MERGES=32000; fi
  ((PAIRS >= 10000)) || MERGES=$((PAIRS * 6 / 10 + 1)) # whole sentences would be pieces
fi
own_folder OUT translation-data corpus "BENCHMARK=$NAME" "LANGS=$SRC-$TGT" "TEXT_SHA256=$SHA256" "HELDOUT=$HELDOUT" \
  "BPE=$BPE" "MERGES=$MERGES" "SEPARATE=$SEPARATE"
run_stage "text" corpus corpus
[[ ! -e $OUT/corpus/raw/test.$SRC ]] || SPLITS+=(test)
make_pieces
say "now train.sh $1"
