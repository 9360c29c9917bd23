# Shared by the scripts of this folder: settings, and the stages of prepare-*.sh.
# shellcheck shell=bash
# Source it after `set -euo pipefail`.

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/common/lib.sh
source "$HERE/../../scripts/common/lib.sh"
# shellcheck source=scripts/common/preparing.sh
source "$ROOT/scripts/common/preparing.sh"

NAME='[A-Za-z0-9][A-Za-z0-9_-]*' # of a corpus
SPLITS=(train val test)
GPT2_URL=https://dl.fbaipublicfiles.com/fairseq/gpt2_bpe

# choose_bpe DEFAULT: sets BPE, and ENCODING, which names the folders of an encoding.
choose_bpe() {
  BPE=${BPE:-$1}
  check 'gpt2|sentencepiece' BPE
  VOCAB=${VOCAB:-4000}
  ENCODING=$BPE
  [[ $BPE == gpt2 ]] || ENCODING+=$VOCAB
}

# check_system: CORPUS, MODEL and CRITERION of train.sh and evaluate.sh; sets DATA, OUT and the BPE.
check_system() {
  check_settings
  check 'bart.large|bart.base|transformer' MODEL
  if [[ $MODEL == transformer ]]; then choose_bpe sentencepiece; else choose_bpe gpt2; fi
  DATA=${DATA:-$ROOT/summarization/$CORPUS}
  OUT=${OUT:-$DATA/$MODEL-$CRITERION${FROM:+-finish}}
  check_folders DATA OUT VENV
  is_corpus "$CORPUS" || { [[ $CORPUS =~ ^$NAME$ && -s $DATA/settings && $(setting "$DATA" CORPUS) == "$CORPUS" ]]; } \
    || die "CORPUS must be cnn_dm, xsum, samsum or what prepare-text.sh has prepared, got $CORPUS"
}

is_corpus() { [[ $1 == @(cnn_dm|xsum|samsum) ]]; } # of a script of its own

preparer() { if is_corpus "$CORPUS"; then echo "prepare-$CORPUS.sh"; else echo prepare-text.sh; fi; }

# set_defaults NAME=VALUE...: for the names without a value.
set_defaults() {
  local setting name
  for setting; do
    name=${setting%%=*}
    [[ -n ${!name:-} ]] || declare -g "$setting"
  done
}

prepare_usage() { # WHAT FILES
  cat <<HELP
usage: examples/summarization/prepare-$CORPUS.sh

$1

Leaves in OUT: raw/{train,val,test}.{source,target}, one untokenised text per line, and bin-*, what fairseq-train
reads. Started again, it goes on where it was interrupted, and does nothing that is done.

Environment:
HELP
  usage_of_settings "$CORPUS" "$2,
               and for BPE=gpt2 encoder.json, vocab.bpe and dict.txt"
}

usage_of_settings() { # CORPUS FILES
  cat <<'HELP'
  BPE          gpt2 (default): the vocabulary of BART; or sentencepiece: learnt on train, to train from scratch
  VOCAB        size of the SentencePiece vocabulary (4000)
HELP
  usage_of_prepare "summarization/$1" "$NEEDED_MB" "$2"
}

read_corpus() {
  download "$OUT/download"
  python "$HERE/read_corpus.py" "$CORPUS" "$OUT/download" "$1"
}

encode_gpt2() { # SPLIT
  mkdir -p "$1"
  python -m fairseq.examples.roberta.multiprocessing_bpe_encoder --keep-empty --workers "$WORKERS" \
    --encoder-json "$OUT/gpt2_bpe/encoder.json" --vocab-bpe "$OUT/gpt2_bpe/vocab.bpe" \
    --inputs "$OUT/raw/$2".{source,target} --outputs "$1/$2".{source,target} >"$OUT/encode.log" 2>&1 \
    || die "the BPE encoder failed, see $OUT/encode.log"
  same_lines "$OUT/raw/$2.source" "$1/$2".{source,target}
}

encode_sentencepiece() {
  mkdir -p "$1"
  python -m rdrop_tools.text.sentencepiece_encode "$OUT/raw" "$1" --langs source target --splits "${SPLITS[@]}" \
    --vocab-size "$VOCAB"
}

binarise() { # OPTION...: which dictionary
  local split inputs=()
  for split in "${SPLITS[@]}"; do inputs+=("--${split/%val/valid}pref" "$(pieces "$split")/$split"); done
  fairseq-preprocess --source-lang source --target-lang target "${inputs[@]}" "${@:2}" --workers "$WORKERS" \
    --destdir "$1" >"$OUT/preprocess.log" 2>&1 || die "fairseq-preprocess failed, see $OUT/preprocess.log"
}

pieces() { if [[ $BPE == gpt2 ]]; then echo "$OUT/pieces-gpt2-$1"; else echo "$OUT/pieces-$ENCODING"; fi; } # SPLIT

# prepare: all stages, for $CORPUS, whose script defines download FOLDER.
prepare() {
  check_prepare_settings
  own_folder OUT summarization-data raw "CORPUS=$CORPUS"
  setup_venv examples
  prepare_stages
}

check_prepare_settings() {
  choose_bpe gpt2
  OUT=${OUT:-$ROOT/summarization/$CORPUS}
  check_common_settings
  check_room_for_venv
  [[ -e $OUT/bin-$ENCODING ]] || check_room "$OUT" "${MIN_FREE_MB:-$NEEDED_MB}"
}

prepare_stages() {
  local split file dictionaries=(--joined-dictionary)
  run_stage "corpus: $CORPUS" raw read_corpus
  [[ -e $OUT/raw/test.source ]] || SPLITS=(train val)
  for split in "${SPLITS[@]}"; do
    same_lines "$OUT/raw/$split".{source,target}
  done
  if [[ $BPE == gpt2 ]]; then
    for file in encoder.json vocab.bpe dict.txt; do fetch "$GPT2_URL/$file" "$OUT/gpt2_bpe/$file"; done
    for split in "${SPLITS[@]}"; do run_stage "GPT-2 BPE: $split" "pieces-gpt2-$split" encode_gpt2 "$split"; done
    dictionaries=(--srcdict "$OUT/gpt2_bpe/dict.txt" --tgtdict "$OUT/gpt2_bpe/dict.txt")
  else
    run_stage "SentencePiece model and pieces" "pieces-$ENCODING" encode_sentencepiece
  fi
  run_stage "binarising" "bin-$ENCODING" binarise "${dictionaries[@]}"
  say "done: $OUT/bin-$ENCODING"
}
