#!/usr/bin/env bash
# Translates a test set with what train.sh left, and scores it; see usage below.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
source "$(dirname "$0")/common.sh"
source "$(dirname "$0")/recipes.sh"

usage() {
  cat <<'HELP'
usage: evaluate.sh CHECKPOINT_DIR [CHECKPOINT_DIR OF A BASELINE]

Averages checkpoints, translates, and prints one table: tokenised BLEU as the benchmark's papers count it, and
sacreBLEU's BLEU, chrF and TER of the detokenised text, with signatures; with a baseline, which is translated in
the same way, also p-values of the paired bootstrap test. Leaves in CHECKPOINT_DIR/evaluation.SUBSET the table
(scores.txt, scores.json) and, of each system, hyp.txt, hyp.tok, averaged.pt and generate.log. Every run does
all of it anew and replaces that folder at its end.

Environment:
  AVERAGE      last:N or best:N checkpoints (the recipe's); best is by BLEU on valid
  SUBSET       test (default), valid, test1 ...
  DECODING     flags for fairseq-generate (the recipe's beam and length penalty)
  MAX_TOKENS   of a batch (8000)
  DATA         output folder of the prepare script (the one that train.sh had)
  OUT          output folder (CHECKPOINT_DIR/evaluation.SUBSET)
  VENV PYTHON  virtual environment (.venv), interpreter
HELP
}
if [[ $# -lt 1 || $# -gt 2 || $1 == -* ]]; then
  usage
  [[ ${1:-} == -h || ${1:-} == --help ]] && exit 0
  die "expected one or two folders, got: $*"
fi

SUBSET=${SUBSET:-test}
OUT=${OUT:-$1/evaluation.$SUBSET}
BENCHMARK=$(setting "$1" BENCHMARK train.sh)
SRC=$(setting "$1" SRC)
TGT=$(setting "$1" TGT)
DATA=${DATA:-$(setting "$1" DATA)}
wanted_average=${AVERAGE:-} wanted_decoding=${DECODING:-} # recipe sets these
recipe "$BENCHMARK"
AVERAGE=${wanted_average:-$AVERAGE}
[[ -z $wanted_decoding ]] || read -ra DECODING <<<"$wanted_decoding"
[[ $AVERAGE =~ ^(last|best):[1-9][0-9]*$ ]] || die "AVERAGE must be last:N or best:N, got $AVERAGE"
[[ -d $DATA/data-bin ]] || die "DATA: $DATA/data-bin is not there: run prepare-$BENCHMARK.sh first"
BPE=$(setting "$DATA" BPE)
for reference in "$DATA"/corpus/{raw,tok}/"$SUBSET.$TGT"; do
  [[ -s $reference ]] || die "SUBSET: $reference is missing or empty"
done
if [[ $# -eq 2 ]]; then
  other=$(setting "$2" BENCHMARK train.sh).$(setting "$2" SRC)-$(setting "$2" TGT)
  [[ $other == "$BENCHMARK.$SRC-$TGT" ]] || die "$2 is of $other, not of $BENCHMARK.$SRC-$TGT"
fi

translate() { # CHECKPOINT_DIR OUT_DIR
  local postprocess=subword_nmt
  [[ $BPE != sentencepiece ]] || postprocess=sentencepiece
  mkdir -p "$2"
  python "$ROOT/scripts/training/average_checkpoints.py" "$1" "$2/averaged.pt" --which "${AVERAGE%:*}" --count "${AVERAGE#*:}"
  fairseq-generate "$DATA/data-bin" --user-dir "$ROOT/rdrop_fairseq" --task translation \
    --source-lang "$SRC" --target-lang "$TGT" --gen-subset "$SUBSET" --path "$2/averaged.pt" \
    "${DECODING[@]}" --post-process "$postprocess" --max-tokens "${MAX_TOKENS:-8000}" \
    --required-batch-size-multiple 1 >"$2/generate.log" 2>&1 \
    || die "fairseq-generate failed: $(tail -n 1 "$2/generate.log")"
  grep '^H-' "$2/generate.log" | sort -t- -k2,2n | cut -f3 >"$2/hyp" # H-: without D-'s detokenisation
  count_lines "$(wc -l <"$DATA/corpus/raw/$SUBSET.$TGT")" "$2/hyp"
  if [[ $BPE == sentencepiece ]]; then
    mv "$2/hyp" "$2/hyp.txt"
    python "$ROOT/scripts/text/moses.py" tokenize "$TGT" "${TOKENISING[@]}" <"$2/hyp.txt" >"$2/hyp.tok"
  else
    mv "$2/hyp" "$2/hyp.tok"
    python "$ROOT/scripts/text/moses.py" detokenize "$TGT" <"$2/hyp.tok" >"$2/hyp.txt"
  fi
}

check_writable "$(dirname "$OUT")" 500
setup_venv examples
work=$OUT.part
rm -rf "$work"
say "translating $SUBSET with $1 ($AVERAGE, ${DECODING[*]})"
translate "$1" "$work/system"
if [[ $# -eq 2 ]]; then
  say "translating $SUBSET with the baseline $2"
  translate "$2" "$work/baseline"
  SCORING+=(--baseline "$work"/baseline/{hyp.txt,hyp.tok})
fi
say "scoring"
python "$ROOT/scripts/scoring/score_translation.py" --hyp "$work/system/hyp.txt" --hyp-tok "$work/system/hyp.tok" \
  --ref "$DATA/corpus/raw/$SUBSET.$TGT" --ref-tok "$DATA/corpus/tok/$SUBSET.$TGT" "${SCORING[@]}" \
  --json "$work/scores.json" >"$work/scores.txt"
rm -rf "$OUT"
mv "$work" "$OUT"
cat "$OUT/scores.txt"
say "done: $OUT"
