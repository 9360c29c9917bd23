#!/usr/bin/env bash
# Trains a small German-English model with R-Drop from scratch and scores it; see usage below.
set -euo pipefail
source "$(dirname "$0")/common/lib.sh"
SCRIPTS=$ROOT/examples/translation

usage() {
  cat <<'HELP'
usage: scripts/quickstart.sh

Sets everything up, trains a German-English translation model with R-Drop (on a GPU if there is one), scores it on a
test set and plots the training: prepare-CORPUS.sh, train.sh and evaluate.sh of examples/translation, one after the
other. Leaves in quickstart/CORPUS: data, and the training in rdrop. Started again, it goes on where it was interrupted,
and does nothing that is done.

Environment:
  CORPUS      libreoffice (default): German and English LibreOffice help, from Debian's or Ubuntu's packages, which
              are unpacked, not installed
              multi30k: image captions, from github.com/multi30k/dataset
  CRITERION   rdrop (default), or plain: the same training without R-Drop, to compare with
  OUT         output folder (quickstart/CORPUS)
  MAX_UPDATE ALPHA SEED ...   all settings of the three scripts (their --help lists them)
  VENV PYTHON virtual environment (.venv; none: the python on PATH as it is), interpreter
HELP
}
[[ $# -eq 0 ]] || show_usage "unexpected argument: $1" "$@"

CORPUS=${CORPUS:-libreoffice} CRITERION=${CRITERION:-rdrop}
check 'libreoffice|multi30k' CORPUS
check_settings
[[ $CORPUS == libreoffice ]] || export MAX_UPDATE=${MAX_UPDATE:-1074} # two epochs; to converge takes 14,000
OUT=${OUT:-$ROOT/quickstart/$CORPUS}
check_folders OUT VENV
check_room_for_venv
export BPE=sentencepiece MERGES=${MERGES:-4000} AVERAGE=best:1 CRITERION DATA=$OUT/data
pair=de-en run=$OUT/$CRITERION scores=$OUT/$CRITERION/evaluation.test/scores
[[ $CORPUS == libreoffice ]] || pair=en-de # its name; the data serve both directions

check_room "$OUT" "${MIN_FREE_MB:-500}"
own_folder OUT quickstart
OUT=$DATA "$SCRIPTS/prepare-$CORPUS.sh" $pair
OUT=$run "$SCRIPTS/train.sh" "$CORPUS.de-en"
if [[ $scores.json -nt $run/train.log ]]; then # to which train.sh adds nothing when all is done
  cat "$scores.txt"
else
  setup_venv examples
  python -m rdrop_tools.training.plot_training "$run/train.log" -o "$run/training.png"
  (unset OUT && "$SCRIPTS/evaluate.sh" "$run")
fi
paste "$DATA"/corpus/raw/test.{de,en} "$run/evaluation.test/system/hyp.txt" | sed -n 1,5p \
  | awk -F'\t' '{printf "\nsource     %s\nreference  %s\noutput     %s\n", $1, $2, $3}'
echo
say "done: model, scores, training.png and translations are in $run"
cat <<HELP
Next, the same without R-Drop; the two compared; a text of yours; a corpus of yours (README.md):
  CORPUS=$CORPUS CRITERION=plain scripts/quickstart.sh
  AVERAGE=best:1 examples/translation/evaluate.sh $run ${run%/*}/plain
  AVERAGE=best:1 examples/translation/translate.sh $run <source.txt >target.txt
  examples/translation/prepare-text.sh mine.de-en FOLDER
HELP
