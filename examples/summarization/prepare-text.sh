#!/usr/bin/env bash
# Documents and summaries of your own for fairseq; see usage below.
set -euo pipefail
# shellcheck source=examples/summarization/common.sh
source "$(dirname "$0")/common.sh"

NEEDED_MB=500

usage() {
  cat <<'HELP'
usage: examples/summarization/prepare-text.sh NAME FOLDER

Takes FOLDER/{train,val,test}.{source,target}, a document and a summary a line, or a table each,
{train,val,test}.{jsonl,csv,tsv}; all may be .gz. val may also be called valid, validation or dev, and test devtest.
FOLDER may also be one such table, which is train. Without val, some of train is held out, and what repeats it is taken
out of train; no test set is fine too. Leaves in OUT what the other prepare scripts leave, for CORPUS=NAME train.sh and
evaluate.sh. Started again, it goes on where it was interrupted.

Environment:
  SRC_COLUMN TGT_COLUMN   keys or columns of a table, by name, or by number from 1 where it has no line of names
               (source and target; of two columns the first and the second)
  HELDOUT      pairs for val, where there is no val (1000, or a tenth of fewer than 10,000)
HELP
  usage_of_settings NAME "encoder.json, vocab.bpe and dict.txt for BPE=gpt2"
}
[[ $# -eq 2 && $1 != -* ]] || show_usage "expected a name and a folder, got: $*" "$@"

CORPUS=$1
[[ $CORPUS =~ ^$NAME$ ]] || die "the name must be of letters, digits, - and _, got $CORPUS"
! is_corpus "$CORPUS" || die "the name $CORPUS is of a corpus with a script of its own: choose another name"
check_prepare_settings
read_own_text "$2" source target --splits train val test --no-empty

read_corpus() { "${READ[@]}" --quiet --out "$1"; }

setup_venv examples
found=$("${READ[@]}") # reads all of the text: nothing is written if it is not as it should be
own_folder OUT summarization-data raw "CORPUS=$CORPUS" "TEXT_SHA256=${found%% *}" "HELDOUT=${HELDOUT:-}"
prepare_stages
