#!/usr/bin/env bash
# Summarises a split with a trained model and scores it with ROUGE; see usage below.
set -euo pipefail
# shellcheck source=scripts/common/lib.sh
source "$(dirname "$0")/../../scripts/common/lib.sh"
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
  SPLIT         test (default), or val
  CHECKPOINT    checkpoint_best.pt, the lowest loss on the validation set
  BEAM LENPEN MAX_LEN MIN_LEN   the search, as listed in the script for each corpus
  PYTHON VENV   interpreter, virtual environment (.venv)
HELP
}
[[ $# -eq 0 ]] || { usage; [[ $1 == -h || $1 == --help ]] && exit 0; die "unexpected argument: $1"; }

CORPUS=${CORPUS:-cnn_dm}
MODEL=${MODEL:-bart.large}
CRITERION=${CRITERION:-rdrop}
SPLIT=${SPLIT:-test}
CHECKPOINT=${CHECKPOINT:-checkpoint_best.pt}

# No repeated trigrams in any of them. cnn_dm and xsum: BART's own settings; samsum: ours, for its short summaries.
case $CORPUS in
  cnn_dm) SEARCH=(BEAM=4 LENPEN=2.0 MAX_LEN=140 MIN_LEN=55) ;;
  xsum) SEARCH=(BEAM=6 LENPEN=1.0 MAX_LEN=60 MIN_LEN=10) ;;
  samsum) SEARCH=(BEAM=4 LENPEN=1.0 MAX_LEN=100 MIN_LEN=5) ;;
  *) die "CORPUS must be cnn_dm, xsum or samsum, got $CORPUS" ;;
esac
set_defaults "${SEARCH[@]}"
[[ $SPLIT == test || $SPLIT == val ]] || die "SPLIT must be test or val, got $SPLIT"

summarize() { # summarize.py goes on with what an earlier call has left in test.lines
  python "$HERE/summarize.py" "$DATA/raw/$SPLIT.source" --out "$OUT/$SPLIT.lines" \
    --checkpoint "$OUT/checkpoints/$CHECKPOINT" --data "$DATA/bin-$ENCODING" --bpe "$BPE" --bpe-dir "$BPE_DIR" \
    --beam "$BEAM" --lenpen "$LENPEN" --max-len-b "$MAX_LEN" --min-len "$MIN_LEN" 2>"$OUT/summarize.log" \
    || die "summarize.py failed, see $OUT/summarize.log; its last line: $(tail -n 1 "$OUT/summarize.log")"
  count_lines "$(wc -l <"$DATA/raw/$SPLIT.source")" "$OUT/$SPLIT.lines"
  mv "$OUT/$SPLIT.lines" "$1"
}

score() { # FILE.json.part OPTION...: and the table, in FILE.txt
  python "$ROOT/scripts/scoring/score_rouge.py" "$DATA/raw/$SPLIT.target" "$OUT/$SPLIT.hyp" --json "$1" "${@:2}" \
    >"${1%.json.part}.txt" || die "the summaries could not be scored, see above"
}

if [[ $MODEL == transformer ]]; then choose_bpe sentencepiece; else choose_bpe gpt2; fi
DATA=${DATA:-$ROOT/summarization/$CORPUS}
OUT=${OUT:-$DATA/$MODEL-$CRITERION}
if [[ $BPE == gpt2 ]]; then BPE_DIR=$DATA/gpt2_bpe; else BPE_DIR=$DATA/pieces-$ENCODING; fi
[[ -e $OUT/checkpoints/$CHECKPOINT ]] || die "$OUT/checkpoints/$CHECKPOINT is not there: run train.sh first, or name its OUT"
[[ -e $OUT/trained ]] || die "the training in $OUT has not ended: run train.sh again, it resumes"
suffix=$([[ $SPLIT == test ]] || echo "-$SPLIT")
setup_venv examples
keep_settings "$OUT/search$suffix" "CORPUS=$CORPUS" "CHECKPOINT=$CHECKPOINT" "BEAM=$BEAM" "LENPEN=$LENPEN" \
  "MAX_LEN=$MAX_LEN" "MIN_LEN=$MIN_LEN"
run_stage "summarising the $SPLIT set" "$SPLIT.hyp" summarize
result=rouge$suffix
run_stage "scoring" "$result.json" score
if [[ -n ${BASELINE:-} ]]; then
  [[ -e $BASELINE/$SPLIT.hyp ]] || die "BASELINE: $BASELINE/$SPLIT.hyp is not there: run evaluate.sh with OUT=$BASELINE first"
  result=rouge-against-$(basename "$BASELINE")$suffix
  rm -f "$OUT/$result.json" # another baseline may have the same name
  run_stage "comparing with $BASELINE" "$result.json" score --baseline "$BASELINE/$SPLIT.hyp"
fi
cat "$OUT/$result.txt"
say "done: $OUT/$SPLIT.hyp, $OUT/$result.json"
