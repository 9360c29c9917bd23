#!/usr/bin/env bash
# Trains a small German-English model with R-Drop from scratch and scores it; see usage below.
set -euo pipefail
source "$(dirname "$0")/common/lib.sh"
source "$(dirname "$0")/common/multi30k.sh"

usage() {
  cat <<'HELP'
usage: scripts/quickstart.sh

Sets everything up, trains a German-English translation model with R-Drop (on a GPU if there is one) and
leaves in quickstart/CORPUS: checkpoints/, test.hyp, score.json, training.png, samples.txt, train.log.
Started again, it goes on where it was interrupted, and does nothing that is done.

Environment:
  CORPUS                libreoffice (default): German and English LibreOffice help, from Debian's or
                        Ubuntu's packages, which are unpacked, not installed
                        multi30k: image captions, from github.com/multi30k/dataset
  LIBREOFFICE_HELP_DIR  a folder with the help's de/ and en-US/, in place of the download
  LOCAL_FILES           a folder with {train,val,test_2016_flickr}.{de,en}.gz, in place of Multi30k's download
  CRITERION             rdrop (default), or plain: the same training without R-Drop, to compare with
  OUT                   output folder (quickstart/CORPUS, quickstart/CORPUS-plain)
  MAX_UPDATE ALPHA VOCAB HELDOUT   updates, alpha, vocabulary, pairs in valid and in test (see the script)
  MIN_FREE_MB           free space to ask for (500)
  PYTHON VENV           interpreter, virtual environment (.venv; none: the python on PATH as it is)
  DOWNLOADER            command to call as DOWNLOADER URL FILE instead of curl
HELP
}
[[ $# -eq 0 ]] || { usage; [[ $1 == -h || $1 == --help ]] && exit 0; die "unexpected argument: $1"; }

CORPUS=${CORPUS:-libreoffice}
CRITERION=${CRITERION:-rdrop}
check_choice CORPUS libreoffice multi30k
check_choice CRITERION rdrop plain
OUT=${OUT:-$ROOT/quickstart/$CORPUS$([[ $CRITERION == rdrop ]] || echo "-$CRITERION")}
check_folders OUT VENV
absolute LOCAL_FILES LIBREOFFICE_HELP_DIR
SRC=de TGT=en SEED=1

# The model and its training, chosen on the validation set for ten minutes on two CPU cores.
MAX_UPDATE=${MAX_UPDATE:-1100} # of about 1,700 target tokens: not quite three epochs
ALPHA=${ALPHA:-0.5}
VOCAB=${VOCAB:-4000}
HELDOUT=${HELDOUT:-1000}
check_integer 1-999999999 MAX_UPDATE HELDOUT
check_integer 1-999999 VOCAB
check_integer 0-999999999 MIN_FREE_MB
check_number ALPHA
# By default fairseq forms batches of multiples of 8 sentences and drops a remainder, and stops at a sentence
# that is longer than the model takes, 1,024 pieces.
WHOLE=(--required-batch-size-multiple 1 --skip-invalid-size-inputs-valid-test)
WARMUP=$((MAX_UPDATE / 10 + 1))
SAVE=$(((MAX_UPDATE + 4) / 5)) # a save between epochs also validates
LOG=$(((MAX_UPDATE + 59) / 60))

libreoffice_help() { # prints the folder of the pages
  local pages=$OUT/debs/usr/share/libreoffice/help
  if [[ -n ${LIBREOFFICE_HELP_DIR:-} ]]; then
    pages=$LIBREOFFICE_HELP_DIR
  elif [[ ! -d $pages ]]; then
    command -v apt-get >/dev/null \
      || die "no apt-get here to download the LibreOffice help with: use CORPUS=multi30k, or LIBREOFFICE_HELP_DIR"
    mkdir -p "$OUT/debs.part"
    local get=(apt-get download libreoffice-help-de libreoffice-help-en-us)
    (
      cd "$OUT/debs.part"
      "${get[@]}" || { [[ $(id -u) -eq 0 ]] && apt-get update && "${get[@]}"; }
    ) >"$OUT/apt.log" 2>&1 \
      || die "apt-get download failed, see $OUT/apt.log: run 'apt-get update' as root, or use CORPUS=multi30k"
    local deb
    for deb in "$OUT"/debs.part/*.deb; do dpkg-deb -x "$deb" "$OUT/debs.part"; done
    rm -rf "$OUT/debs"
    mv "$OUT/debs.part" "$OUT/debs"
  fi
  echo "$pages"
}

prepare_libreoffice() {
  local pages
  pages=$(libreoffice_help)
  python "$ROOT/scripts/text/libreoffice_corpus.py" "$pages" "$1" --heldout "$HELDOUT" --seed "$SEED"
}

prepare_multi30k() {
  local split lang
  mkdir -p "$1"
  for split in train:train val:valid test_2016_flickr:test; do
    for lang in "$SRC" "$TGT"; do multi30k_text "${split%:*}" "$lang" "$1/${split#*:}.$lang"; done
  done
}

prepare() { # the corpus; every file has text, and as many lines as its other side
  local split lang
  "prepare_$CORPUS" "$1"
  for split in train valid test; do
    for lang in "$SRC" "$TGT"; do
      [[ -s $1/$split.$lang ]] || die "the corpus has an empty file: $1/$split.$lang"
    done
    same_lines "$1/$split".{"$SRC","$TGT"}
  done
}

encode() { # a joint SentencePiece model, learnt on train only, and the pieces of every split
  mkdir -p "$1"
  python "$ROOT/scripts/text/sentencepiece_encode.py" "$OUT/raw" "$1" --langs "$SRC" "$TGT" --vocab-size "$VOCAB"
}

binarise() {
  fairseq-preprocess --source-lang "$SRC" --target-lang "$TGT" --joined-dictionary --workers 2 \
    --trainpref "$OUT/pieces/train" --validpref "$OUT/pieces/valid" --testpref "$OUT/pieces/test" \
    --destdir "$1" >"$OUT/preprocess.log" 2>&1 || die "fairseq-preprocess failed, see $OUT/preprocess.log"
}

train() { # fairseq resumes from checkpoint_last.pt by itself
  check_last_checkpoint "$OUT/checkpoints"
  fairseq-train "$OUT/data" --user-dir "$(python -m rdrop_fairseq)" \
    --task translation --source-lang "$SRC" --target-lang "$TGT" --seed "$SEED" \
    "${LOSS[@]}" --label-smoothing 0.1 \
    --arch transformer --share-all-embeddings --dropout 0.1 \
    --encoder-layers 2 --encoder-embed-dim 128 --encoder-ffn-embed-dim 512 --encoder-attention-heads 4 \
    --decoder-layers 2 --decoder-embed-dim 128 --decoder-ffn-embed-dim 512 --decoder-attention-heads 4 \
    --encoder-normalize-before --decoder-normalize-before \
    --optimizer adam --adam-betas '(0.9, 0.98)' --clip-norm 1.0 --max-tokens 2048 "${WHOLE[@]}" --lr 0.005 \
    --lr-scheduler polynomial_decay --warmup-updates "$WARMUP" --total-num-update "$MAX_UPDATE" \
    --max-update "$MAX_UPDATE" --validate-interval 1000000 \
    --max-tokens-valid 8000 --eval-bleu --eval-bleu-args '{"beam": 1}' --eval-bleu-detok space \
    --eval-bleu-remove-bpe sentencepiece \
    --save-dir "$OUT/checkpoints" --save-interval-updates "$SAVE" --keep-interval-updates 1 \
    --save-interval 1000000 --no-epoch-checkpoints --num-workers 0 --log-format simple --log-interval "$LOG" \
    2>&1 | tee -a "$OUT/train.log" | show_progress \
    || die "fairseq-train failed, see $OUT/train.log; its last line: $(tail -n 1 "$OUT/train.log")"
  touch "$1"
}

translate() {
  fairseq-generate "$OUT/data" --user-dir "$(python -m rdrop_fairseq)" --task translation \
    --source-lang "$SRC" --target-lang "$TGT" --path "$OUT/checkpoints/checkpoint_last.pt" \
    --gen-subset test --beam 5 --lenpen 1.5 --remove-bpe sentencepiece --max-tokens 8000 "${WHOLE[@]}" >"$OUT/generate.log" 2>&1 \
    || die "fairseq-generate failed, see $OUT/generate.log"
  hypotheses "$OUT/generate.log" D "$(lines "$OUT/raw/test.$SRC")" >"$1"
}

score() { sacrebleu "$OUT/raw/test.$TGT" -i "$OUT/test.hyp" -m bleu chrf -w 2 >"$1"; }

plot() {
  python "$ROOT/scripts/training/plot_training.py" "$OUT/train.log" -o "$1.png"
  mv "$1.png" "$1"
}

samples() {
  paste "$OUT/raw/test.$SRC" "$OUT/raw/test.$TGT" "$OUT/test.hyp" | sed -n 1,10p \
    | awk -F'\t' '{printf "source     %s\nreference  %s\noutput     %s\n\n", $1, $2, $3}' >"$1"
}

case $CRITERION in
  rdrop) LOSS=(--criterion label_smoothed_cross_entropy_rdrop --rdrop-alpha "$ALPHA") ;;
  plain) LOSS=(--criterion label_smoothed_cross_entropy) ;;
esac
for lang in de en-US; do
  [[ $CORPUS != libreoffice || -z ${LIBREOFFICE_HELP_DIR:-} || -d $LIBREOFFICE_HELP_DIR/$lang ]] \
    || die "LIBREOFFICE_HELP_DIR: $LIBREOFFICE_HELP_DIR/$lang is not a folder of help pages"
done
check_room_for_venv
check_room "$OUT" "${MIN_FREE_MB:-500}"
own_folder OUT quickstart raw "CORPUS=$CORPUS" "HELDOUT=$HELDOUT" pieces "VOCAB=$VOCAB" \
  'checkpoints/checkpoint*.pt' "CRITERION=$CRITERION" "MAX_UPDATE=$MAX_UPDATE" "ALPHA=$ALPHA"
setup_venv examples
run_stage "corpus: $CORPUS" raw prepare
run_stage "SentencePiece model and pieces" pieces encode
run_stage "binarising" data binarise
run_stage "training: $MAX_UPDATE updates, ${LOSS[*]}; interrupt it at any time, it resumes" trained train
run_stage "translating the test set" test.hyp translate
run_stage "scoring" score.json score
run_stage "plotting" training.png plot
run_stage "ten translations" samples.txt samples

cat "$OUT/samples.txt"
python - "$OUT/score.json" <<'PY'
import json, sys
for metric in json.load(open(sys.argv[1])):
    print(f"{metric['name']} = {metric['score']}  ({metric['signature']})")
PY
say "done: model, scores, training.png and translations are in $OUT"
