#!/usr/bin/env bash
# Translates standard input with what train.sh left; see usage below.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
source "$(dirname "$0")/common.sh"
source "$(dirname "$0")/recipes.sh"

usage() {
  cat <<'HELP'
usage: translate.sh CHECKPOINT_DIR [--interactive] <SOURCE >TARGET

Text in, text out, a sentence a line, in the direction of the training, with its pieces, dictionaries and an average
of its checkpoints, by fairseq's generator. An empty line, and one longer than the model takes, gives an empty line;
they are counted on standard error. With --interactive every line is answered at once.

Environment:
  AVERAGE      last:N or best:N checkpoints (the recipe's; with a corpus of your own the last 10, or the best one where
               there are not so many)
  DECODING     flags for fairseq-generate (the recipe's beam and length penalty)
  MAX_TOKENS   of a batch (8000)
  DATA         output folder of the prepare script (the one that train.sh had)
  VENV PYTHON  virtual environment (.venv; none: the python on PATH as it is), interpreter
HELP
}
OPTIONS=("${@:2}")
[[ $# -le 2 && ${1:--} != -* && ${OPTIONS[*]} == @(|--interactive) ]] \
  || show_usage "expected a folder, and perhaps --interactive, got: $*" "$@"

CHECKPOINT_DIR=$1 BASELINE_DIR=
read_training

setup_venv examples >&2
exec python "$(dirname "$0")/translate.py" "$CHECKPOINT_DIR" "${OPTIONS[@]}" --data "$DATA/data-bin" \
  --pieces "$DATA/pieces" --bpe "$BPE" --source "$SRC" --target "$TGT" \
  --which "${AVERAGE%:*}" --count "${AVERAGE#*:}" --max-tokens "$MAX_TOKENS" \
  "${TOKENISING[@]}" "${DECODING[@]}"
