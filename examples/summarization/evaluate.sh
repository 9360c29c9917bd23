#!/usr/bin/env bash
# Summarises a split with a trained model and scores it with ROUGE; see usage below.
set -euo pipefail
# shellcheck source=examples/summarization/common.sh
source "$(dirname "$0")/common.sh"

usage() {
  cat <<'HELP'
usage: examples/summarization/evaluate.sh

Summarises the test set with the model that train.sh left in OUT, and leaves there test.hyp and rouge.json. With
BASELINE also a paired comparison, in rouge-against-NAME.json. Interrupted, it goes on where it was.

Environment:
  CORPUS MODEL CRITERION DATA OUT BPE VOCAB   as for train.sh
  BASELINE      the OUT of another model, evaluated before: compare with it
  SPLIT         test (default; val where there is no test set), or val
  TOKENIZER     of ROUGE: rouge-score for English, unicode for other languages (score_rouge.py says which is needed)
  CHECKPOINT    checkpoint_best.pt, the lowest loss on the validation set
  BEAM LENPEN MAX_LEN MIN_LEN   the search, as listed in the script for each corpus
  PYTHON VENV   interpreter, virtual environment (.venv; none: the python on PATH as it is)
HELP
}
[[ $# -eq 0 ]] || show_usage "unexpected argument: $1" "$@"

CORPUS=${CORPUS:-cnn_dm}
MODEL=${MODEL:-bart.large}
CRITERION=${CRITERION:-rdrop}
CHECKPOINT=${CHECKPOINT:-checkpoint_best.pt}

check_system
[[ -n ${SPLIT:-} || -e $DATA/raw/test.source ]] || is_corpus "$CORPUS" || SPLIT="val"
SPLIT=${SPLIT:-test}
# No repeated trigrams in any of them. cnn_dm and xsum: BART's own settings; samsum, and any other: ours, for
# short summaries.
case $CORPUS in
  cnn_dm) SEARCH=(BEAM=4 LENPEN=2.0 MAX_LEN=140 MIN_LEN=55) ;;
  xsum) SEARCH=(BEAM=6 LENPEN=1.0 MAX_LEN=60 MIN_LEN=10) ;;
  *) SEARCH=(BEAM=4 LENPEN=1.0 MAX_LEN=100 MIN_LEN=5) ;;
esac
set_defaults "${SEARCH[@]}"
check 'test|val' SPLIT
check 'rouge-score|unicode' TOKENIZER
((MIN_LEN <= MAX_LEN)) || die "MIN_LEN must not be more than MAX_LEN ($MAX_LEN), got $MIN_LEN"
absolute BASELINE

summarize() { # summarize.py goes on with what an earlier call has left in test.lines
  python "$HERE/summarize.py" "$DATA/raw/$SPLIT.source" --out "$OUT/$SPLIT.lines" \
    --checkpoint "$OUT/checkpoints/$CHECKPOINT" --data "$DATA/bin-$ENCODING" --bpe "$BPE" --bpe-dir "$BPE_DIR" \
    --beam "$BEAM" --lenpen "$LENPEN" --max-len-b "$MAX_LEN" --min-len "$MIN_LEN" 2>"$OUT/summarize.log" \
    || die "summarize.py failed, see $OUT/summarize.log; its last line: $(tail -n 1 "$OUT/summarize.log")"
  same_lines "$DATA/raw/$SPLIT.source" "$OUT/$SPLIT.lines"
  mv "$OUT/$SPLIT.lines" "$1"
}

score() { # FILE.json.part OPTION...: and the table, in FILE.txt
  python -m rdrop_tools.scoring.score_rouge "$DATA/raw/$SPLIT.target" "$OUT/$SPLIT.hyp" --json "$1" \
    ${TOKENIZER:+--tokenizer "$TOKENIZER"} "${@:2}" \
    >"${1%.json.part}.txt.part" || die "the summaries could not be scored, see above"
  mv "${1%.json.part}.txt.part" "${1%.json.part}.txt"
}

if [[ $BPE == gpt2 ]]; then BPE_DIR=$DATA/gpt2_bpe; else BPE_DIR=$DATA/pieces-$ENCODING; fi
[[ $CHECKPOINT != */* && -e $OUT/checkpoints/$CHECKPOINT ]] || die "$OUT/checkpoints/$CHECKPOINT is not there: run train.sh first, or name its OUT"
check_kind OUT summarization-training train.sh
[[ -e $OUT/trained ]] || die "the training in $OUT has not ended: run train.sh again, it resumes"
suffix=$([[ $SPLIT == test ]] || echo "-$SPLIT")
check_made_with OUT CORPUS MODEL CRITERION ENCODING
lock_folder OUT
setup_venv examples
keep_settings "$OUT/search$suffix" "$SPLIT.*" "CORPUS=$CORPUS" "CHECKPOINT=$CHECKPOINT" "BEAM=$BEAM" \
  "LENPEN=$LENPEN" "MAX_LEN=$MAX_LEN" "MIN_LEN=$MIN_LEN"
run_stage "summarising the $SPLIT set" "$SPLIT.hyp" summarize
result=rouge$suffix
run_stage "scoring" "$result.json" score
if [[ -n ${BASELINE:-} ]]; then
  [[ -e $BASELINE/$SPLIT.hyp ]] || die "BASELINE: $BASELINE/$SPLIT.hyp is not there: run evaluate.sh with OUT=$BASELINE first"
  result=rouge-against-$(basename "$BASELINE")$suffix
  say "comparing with $BASELINE" # every time: another baseline may have the same name
  score "$OUT/$result.json.part" --baseline "$BASELINE/$SPLIT.hyp"
  mv "$OUT/$result.json.part" "$OUT/$result.json"
fi
cat "$OUT/$result.txt"
say "done: $OUT/$SPLIT.hyp, $OUT/$result.json"
