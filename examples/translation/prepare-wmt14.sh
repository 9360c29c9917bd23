#!/usr/bin/env bash
# WMT14 English-German or English-French, ready for training in both directions; see usage below.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
source "$(dirname "$0")/common.sh"

usage() {
  cat <<'HELP'
usage: prepare-wmt14.sh [en-de | en-fr]

Leaves in data/wmt14.en-de: corpus/tok (Moses' tokens), corpus/raw (the text of valid and test), pieces (BPE)
and data-bin (for fairseq, in both directions). valid is newstest2013, test is newstest2014. Started again, it
goes on where it was, and tests the checksums of what is there.

Environment:
  NEWS_COMMENTARY  en-de: v9 (default), which is WMT14's, or v12, the default of fairseq's own script
  MERGES       joint BPE merges (40000)
  EXPECTED     pairs in train (before the length filter), valid and test, each a number or LEAST-MOST
               (en-de: "4500000-4600000 3000 3003", en-fr: "40800000-40900000 3000 3003")
HELP
  usage_of_prepare data/wmt14.en-de "en-de 30000, en-fr 150000" "the archives (training-parallel-europarl-v7.tgz, ...)"
}
[[ $# -le 1 && ${1:-} != -* ]] || show_usage "unexpected arguments: $*" "$@"

PAIR=${1:-en-de}
NEWS_COMMENTARY=${NEWS_COMMENTARY:-v9}
# Each training corpus: its archive, and the name of its files without the language, .gz where they are compressed.
EUROPARL=https://www.statmt.org/wmt13/training-parallel-europarl-v7.tgz
CRAWL=https://www.statmt.org/wmt13/training-parallel-commoncrawl.tgz
NEWS=https://www.statmt.org/wmt14/training-parallel-nc-v9.tgz
case $PAIR,$NEWS_COMMENTARY in
  *,v9) ;;
  en-de,v12) NEWS=https://data.statmt.org/wmt17/translation-task/training-parallel-nc-v12.tgz ;;
  *) die "NEWS_COMMENTARY must be v9, or v12 with en-de, got $NEWS_COMMENTARY" ;;
esac
case $PAIR in
  en-de)
    CORPORA=("$EUROPARL training/europarl-v7.de-en." "$CRAWL commoncrawl.de-en."
      "$NEWS training/news-commentary-$NEWS_COMMENTARY.de-en.")
    TEST=newstest2014-deen DEFAULT_EXPECTED="4500000-4600000 3000 3003" DEFAULT_FREE=30000
    ;;
  en-fr)
    CORPORA=("$EUROPARL training/europarl-v7.fr-en." "$CRAWL commoncrawl.fr-en."
      "https://www.statmt.org/wmt13/training-parallel-un.tgz un/undoc.2000.fr-en."
      "$NEWS training/news-commentary-v9.fr-en."
      "https://www.statmt.org/wmt10/training-giga-fren.tar giga-fren.release2.fixed. .gz")
    TEST=newstest2014-fren DEFAULT_EXPECTED="40800000-40900000 3000 3003" DEFAULT_FREE=150000
    ;;
  *) die "the language pair must be en-de or en-fr, got $PAIR" ;;
esac
DEV_URL=https://data.statmt.org/wmt17/translation-task/dev.tgz
TEST_URL=https://www.statmt.org/wmt14/test-full.tgz

LANGS=("${PAIR%-*}" "${PAIR#*-}")
OUT=${OUT:-$ROOT/data/wmt14.$PAIR}
BPE=subword-nmt APPLY_BPE=(--max-tokens 250)
MERGES=${MERGES:-40000}
SPLITS=(train valid test)
read_expected "$DEFAULT_EXPECTED"

corpus() {
  local text=$1/text url stem gz i pairs=()
  mkdir -p "$text"
  for corpus in "${CORPORA[@]}"; do
    read -r url stem gz <<<"$corpus"
    local files=("$stem${LANGS[0]}$gz" "$stem${LANGS[1]}$gz")
    unpack "$OUT/download/$(basename "$url")" "$text" "${files[@]}"
    pairs+=(--pair "${files[@]/#/$text/}")
  done
  unpack "$OUT/download/dev.tgz" "$text" "${LANGS[@]/#/dev/newstest2013.}"
  local sides=("test-full/$TEST-src.${LANGS[0]}.sgm" "test-full/$TEST-ref.${LANGS[1]}.sgm")
  unpack "$OUT/download/test-full.tgz" "$text" "${sides[@]}"
  for i in 0 1; do
    python -m rdrop_tools.text.marked_up_text segments "$text/${sides[i]}" >"$text/test.${LANGS[i]}"
  done
  local tokenise=(python -m rdrop_tools.text.tokenize_corpus "$1")
  local options=(--langs "${LANGS[@]}" --split-dashes --workers "$WORKERS")
  "${tokenise[@]}" valid "${options[@]}" --keep-raw --plain-apostrophes --pair "${LANGS[@]/#/$text/dev/newstest2013.}"
  "${tokenise[@]}" test "${options[@]}" --keep-raw --plain-apostrophes --pair "${LANGS[@]/#/$text/test.}"
  "${tokenise[@]}" train "${options[@]}" --normalise "${pairs[@]}"
  rm -r "$text"
}

check_prepare_settings
begin "$DEFAULT_FREE" BENCHMARK=wmt14 "LANGS=$PAIR" "NEWS_COMMENTARY=$NEWS_COMMENTARY"
for corpus in "${CORPORA[@]}" "$DEV_URL" "$TEST_URL"; do archive "${corpus%% *}" "$(basename "${corpus%% *}")"; done
run_stage "text and tokens" corpus corpus
[[ -e $OUT/pieces ]] || check_pairs "WMT14 $PAIR" "$OUT"/corpus/tok/{train,valid,test}.en
make_pieces
