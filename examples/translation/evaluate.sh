#!/usr/bin/env bash
# Translates a test set with what train.sh left, and scores it; see usage below.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
source "$(dirname "$0")/common.sh"
source "$(dirname "$0")/recipes.sh"

usage() {
  cat <<'HELP'
usage: evaluate.sh CHECKPOINT_DIR [CHECKPOINT_DIR OF A BASELINE]

Averages checkpoints, translates, and prints one table: tokenised BLEU as the benchmark's papers count it (where the
data have tokens), and sacreBLEU's BLEU, chrF and TER of the detokenised text, with signatures; with a baseline, which
is translated in the same way, also p-values of the paired bootstrap test. Leaves in CHECKPOINT_DIR/evaluation.SUBSET
the table (scores.txt, scores.json) and, of each system, hyp.txt, hyp.tok, averaged.pt and generate.log. Every run does
all of it anew, and at its end replaces what an earlier one left there. A sentence longer than the model takes gets an
empty line, and they are counted.

Environment:
  AVERAGE      last:N or best:N checkpoints (the recipe's; with a corpus of your own the last 10, or the best one where
               there are not so many); best is by BLEU on valid
  SUBSET       test (default; valid where there is no test set), valid, test1 ...
  TOKENIZE     sacreBLEU's tokeniser for BLEU (by the target text's script: ja-mecab, zh, ko-mecab, char for Thai, else
               13a)
  DECODING     flags for fairseq-generate (the recipe's beam and length penalty)
  MAX_TOKENS   of a batch (8000)
  DATA         output folder of the prepare script (the one that train.sh had)
  OUT          output folder (CHECKPOINT_DIR/evaluation.SUBSET)
  MIN_FREE_MB  free space to ask for (500)
  VENV PYTHON  virtual environment (.venv; none: the python on PATH as it is), interpreter
HELP
}
[[ $# -le 2 && ${1:--} != -* ]] || show_usage "expected one or two folders, got: $*" "$@"

CHECKPOINT_DIR=$1 BASELINE_DIR=${2:-}
SUBSET=${SUBSET:-}
[[ -z $SUBSET || $SUBSET =~ ^(train|valid|test[0-9]*)$ ]] || die "SUBSET must be test, valid, train, test1 ..., got $SUBSET"
read_training
wanted_tokenize=${TOKENIZE:-}
check_tokenize
if [[ -z $SUBSET ]]; then
  SUBSET="test"
  is_benchmark "$BENCHMARK" || [[ -e $DATA/corpus/raw/test.$TGT ]] || SUBSET=valid
fi
OUT=${OUT:-$CHECKPOINT_DIR/evaluation.$SUBSET}
check_folders OUT
TOKENS= # of the reference, where the data have them
[[ ! -d $DATA/corpus/tok ]] || TOKENS=$DATA/corpus/tok/$SUBSET.$TGT
for reference in "$DATA/corpus/raw/$SUBSET.$TGT" ${TOKENS:+"$TOKENS"}; do
  [[ -s $reference ]] || die "SUBSET: $reference is missing or empty"
done
if [[ -n $BASELINE_DIR ]]; then
  check_kind BASELINE_DIR translation-training train.sh
  check_made_with BASELINE_DIR BENCHMARK SRC TGT
fi

translate() { # CHECKPOINT_DIR OUT_DIR
  mkdir -p "$2"
  python -m rdrop_tools.training.average_checkpoints "$1" "$2/averaged.pt" --which "${AVERAGE%:*}" --count "${AVERAGE#*:}"
  fairseq-generate "$DATA/data-bin" --user-dir "$ROOT/rdrop_fairseq" --task translation \
    --source-lang "$SRC" --target-lang "$TGT" --gen-subset "$SUBSET" --path "$2/averaged.pt" \
    "${DECODING[@]}" --post-process "${BPE/-/_}" --max-tokens "$MAX_TOKENS" \
    --required-batch-size-multiple 1 --skip-invalid-size-inputs-valid-test >"$2/generate.log" 2>&1 \
    || die "fairseq-generate failed, see $2/generate.log; its last line: $(tail -n 1 "$2/generate.log")"
  hypotheses "$2/generate.log" "$(lines "$DATA/corpus/raw/$SUBSET.$TGT")" >"$2/hyp"
  if [[ $BPE == sentencepiece ]]; then
    mv "$2/hyp" "$2/hyp.txt"
    [[ -z $TOKENS ]] || python -m rdrop_tools.text.moses tokenize "$TGT" "${TOKENISING[@]}" <"$2/hyp.txt" >"$2/hyp.tok"
  else
    mv "$2/hyp" "$2/hyp.tok"
    python -m rdrop_tools.text.moses detokenize "$TGT" <"$2/hyp.tok" >"$2/hyp.txt"
  fi
}

check_room "$OUT" "${MIN_FREE_MB:-500}"
own_folder OUT translation-evaluation
setup_venv examples
work=$OUT/part
rm -rf "$work"
choose_tokenize "$TGT" "$(sacrebleu_tokenizer "$TGT")"
check_tokenizer "$wanted_tokenize"
SCORING+=(--tokenize "$TOKENIZE")
[[ -z $TOKENS ]] || SCORING+=(--hyp-tok "$work/system/hyp.tok" --ref-tok "$TOKENS")
say "translating $SUBSET with $CHECKPOINT_DIR ($AVERAGE, ${DECODING[*]})"
translate "$CHECKPOINT_DIR" "$work/system"
if [[ -n $BASELINE_DIR ]]; then
  say "translating $SUBSET with the baseline $BASELINE_DIR"
  translate "$BASELINE_DIR" "$work/baseline"
  SCORING+=(--baseline "$work/baseline/hyp.txt" ${TOKENS:+"$work/baseline/hyp.tok"})
fi
say "scoring"
python -m rdrop_tools.scoring.score_translation --hyp "$work/system/hyp.txt" \
  --ref "$DATA/corpus/raw/$SUBSET.$TGT" "${SCORING[@]}" --json "$work/scores.json" >"$work/scores.txt"
# scores.json goes first and comes last: where it is, the rest is there, and its own.
for name in scores.json scores.txt system baseline; do rm -rf "${OUT:?}/$name"; done
for name in baseline system scores.txt scores.json; do
  [[ ! -e $work/$name ]] || mv "$work/$name" "$OUT/$name"
done
rmdir "$work"
cat "$OUT/scores.txt"
say "done: $OUT"
