#!/usr/bin/env bash
# Multi30k, English with German or French, ready for training; see usage below.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
source "$(dirname "$0")/common.sh"
source "$ROOT/scripts/common/multi30k.sh"

usage() {
  cat <<'HELP'
usage: prepare-multi30k.sh [en-de | en-fr]

Leaves in data/multi30k.en-de: corpus/raw and corpus/tok (text, and Moses' tokens), pieces (BPE) and data-bin
(for fairseq, in both directions). Test sets: test = Flickr 2016, test1 = Flickr 2017, test2 = MSCOCO 2017,
test3 = Flickr 2018. Started again, it goes on where it was, and tests the checksums of what is there.

Environment:
  BPE          subword-nmt (default) on Moses' tokens, or sentencepiece on the text as it is
  MERGES       joint BPE merges, or pieces for sentencepiece (6000)
  PAIRS        the first so many of the training pairs (all)
  EXPECTED     pairs in train, valid and each test set ("29000 1014 1000 1000 461 1071"); other data, other numbers
HELP
  usage_of_prepare data/multi30k.en-de 200 "{train,val,test_2016_flickr,...}.{en,de}.gz"
}
[[ $# -le 1 && ${1:-} != -* ]] || show_usage "unexpected arguments: $*" "$@"

PAIR=${1:-en-de}
[[ $PAIR == en-de || $PAIR == en-fr ]] || die "the language pair must be en-de or en-fr, got $PAIR"
LANGS=("${PAIR%-*}" "${PAIR#*-}")
OUT=${OUT:-$ROOT/data/multi30k.$PAIR}
BPE=${BPE:-subword-nmt}
MERGES=${MERGES:-6000}
PAIRS=${PAIRS:-}
SPLITS=(train valid test test1 test2 test3)
read_expected "29000 1014 1000 1000 461 1071"
NAMES=(train val test_2016_flickr test_2017_flickr test_2017_mscoco test_2018_flickr)

corpus() {
  local i lang text=$1/text files=()
  mkdir -p "$text"
  for i in "${!SPLITS[@]}"; do
    for lang in "${LANGS[@]}"; do multi30k_text "${NAMES[i]}" "$lang" "$text/${SPLITS[i]}.$lang"; done
    same_lines "$text/${SPLITS[i]}".{"${LANGS[0]}","${LANGS[1]}"}
    files+=("$text/${SPLITS[i]}.en")
  done
  check_pairs Multi30k "${files[@]}"
  for i in "${!SPLITS[@]}"; do
    if [[ -n $PAIRS && ${SPLITS[i]} == train ]]; then
      for lang in "${LANGS[@]}"; do
        head -n "$PAIRS" "$text/train.$lang" >"$text/first.$lang"
        mv "$text/first.$lang" "$text/train.$lang"
      done
    fi
    python -m rdrop_tools.text.tokenize_corpus "$1" "${SPLITS[i]}" --langs "${LANGS[@]}" --keep-raw \
      --pair "$text/${SPLITS[i]}".{"${LANGS[0]}","${LANGS[1]}"} --workers "$WORKERS"
  done
  rm -r "$text"
}

check_integer 1-999999999 PAIRS
check_prepare_settings
check_room "$OUT" "${MIN_FREE_MB:-200}"
own_folder OUT translation-data corpus "BENCHMARK=multi30k" "LANGS=$PAIR" "PAIRS=$PAIRS" pieces "BPE=$BPE" \
  "MERGES=$MERGES"
setup_venv examples
for name in "${NAMES[@]}"; do
  for lang in "${LANGS[@]}"; do
    archive "$MULTI30K_URL/$name.$lang.gz" "$name.$lang.gz" "$(multi30k_sha256 "$name" "$lang")"
  done
done
run_stage "text and tokens" corpus corpus
make_pieces
