#!/usr/bin/env bash
# Trains a summarization model, plain or with R-Drop; see usage below.
set -euo pipefail
# shellcheck source=examples/summarization/common.sh
source "$(dirname "$0")/common.sh"
# shellcheck source=scripts/common/training.sh
source "$ROOT/scripts/common/training.sh"

usage() {
  cat <<'HELP'
usage: examples/summarization/train.sh [--print] [FLAG OF fairseq-train]...

Trains on what prepare-CORPUS.sh, or prepare-text.sh, left in DATA, and leaves in OUT: checkpoints/ and train.log.
Interrupted, it goes on from the last checkpoint when started again. Flags are given to fairseq-train, after those of
the recipe; another --arch, --optimizer or --lr-scheduler takes the recipe's flags that belong to it away. --print
prints the command that would be run, and runs nothing.

Environment:
  CORPUS        cnn_dm (default), xsum, samsum, or the name given to prepare-text.sh
  MODEL         bart.large (default), bart.base: fine-tuning of the published weights (about 4 GB, 1 GB)
                transformer: a small model from scratch
  FROM          OUT of another training of this model, plain as a rule: goes on from its best checkpoint with R-Drop, a
                new optimiser and a constant learning rate, a fifth of the recipe's
  CRITERION     rdrop (default), or plain: the same training without R-Drop
  ALPHA         weight of R-Drop's KL (0.7 with BART, 0.3 with the transformer)
  DATA          summarization/CORPUS
  OUT           DATA/MODEL-CRITERION, with FROM and -finish behind it
  BPE VOCAB     as for prepare-*.sh; default of BPE: gpt2 for BART, sentencepiece for transformer
  MAX_UPDATE WARMUP LR UPDATE_TOKENS MAX_TOKENS SEED   as listed in the script for each corpus and model
  UPDATE_FREQ   batches per update and GPU; by default UPDATE_TOKENS / MAX_TOKENS / GPUs
  PRECISION     fp16 (default with a GPU) or fp32
  MIN_FREE_MB   free space to ask for (bart.large 20000, bart.base 8000, transformer 500)
  WEIGHTS       folder for the published weights (summarization/weights)
  LOCAL_FILES   a folder with bart.large.tar.gz or bart.base.tar.gz, in place of the download
  PYTHON VENV DOWNLOADER   as for prepare-*.sh
HELP
}
[[ ${1:-} != -h && ${1:-} != --help ]] || { usage; exit 0; }
PRINT=
[[ ${1:-} != --print ]] || { PRINT=yes && shift; }

CORPUS=${CORPUS:-cnn_dm}
MODEL=${MODEL:-bart.large}
CRITERION=${CRITERION:-rdrop}
SEED=${SEED:-1}
FROM=${FROM:-}
MODELS_URL=https://dl.fbaipublicfiles.com/fairseq/models
check_system
check_folders FROM

# The hyper-parameters. cnn_dm with BART: the paper's (1,024 tokens x 16 batches x 4 GPUs an update). xsum: fairseq's
# own for BART. samsum, and any other, with BART: ours, chosen by samsum's size, not tuned. transformer: ours, for a
# CPU.
case $CORPUS:$MODEL in
  cnn_dm:bart.*) RECIPE=(MAX_UPDATE=20000 WARMUP=500 LR=3e-5 UPDATE_TOKENS=65536 MAX_TOKENS=1024 ALPHA=0.7) ;;
  xsum:bart.*) RECIPE=(MAX_UPDATE=15000 WARMUP=500 LR=3e-5 UPDATE_TOKENS=32768 MAX_TOKENS=1024 ALPHA=0.7) ;;
  *:bart.*) RECIPE=(MAX_UPDATE=1500 WARMUP=100 LR=3e-5 UPDATE_TOKENS=16384 MAX_TOKENS=1024 ALPHA=0.7) ;;
  *:transformer) RECIPE=(MAX_UPDATE=4500 WARMUP=450 LR=5e-3 UPDATE_TOKENS=4096 MAX_TOKENS=4096 ALPHA=0.3) ;;
esac
# A finish (FROM): a fifth of the learning rate; a fifth of BART's updates, a third of the small transformer's.
case ${FROM:+$CORPUS:$MODEL} in
  cnn_dm:bart.*) RECIPE=(MAX_UPDATE=4000 LR=6e-6 "${RECIPE[@]}") ;;
  xsum:bart.*) RECIPE=(MAX_UPDATE=3000 LR=6e-6 "${RECIPE[@]}") ;;
  *:bart.*) RECIPE=(MAX_UPDATE=300 LR=6e-6 "${RECIPE[@]}") ;;
  *:transformer) RECIPE=(MAX_UPDATE=1500 LR=1e-3 "${RECIPE[@]}") ;;
esac
set_defaults "${RECIPE[@]}" # of two values for a name the first counts
absolute LOCAL_FILES

# A document that is too long is cut; a pair whose summary is too long is left out, of valid too.
COMMON=(
  --dropout 0.1 --label-smoothing 0.1 --truncate-source --skip-invalid-size-inputs-valid-test
  --required-batch-size-multiple 1
)
START=()
if [[ $MODEL == transformer ]]; then
  POSITIONS=$((MAX_TOKENS < 256 ? MAX_TOKENS : 256)) NEEDED_MB=500
  ARCHITECTURE=(--arch transformer --share-all-embeddings --encoder-normalize-before --decoder-normalize-before
    --encoder-layers 2 --encoder-embed-dim 128 --encoder-ffn-embed-dim 512 --encoder-attention-heads 4
    --decoder-layers 2 --decoder-embed-dim 128 --decoder-ffn-embed-dim 512 --decoder-attention-heads 4)
  OPTIMIZER=(--optimizer adam --adam-betas '(0.9, 0.98)')
  COMMON+=(--max-source-positions "$POSITIONS" --max-target-positions "$POSITIONS" --clip-norm 1.0)
else
  POSITIONS=1024 NEEDED_MB=8000 # an interval's checkpoint, the best and the last, with Adam's state
  [[ $MODEL == bart.base ]] || NEEDED_MB=20000
  ((MAX_TOKENS >= POSITIONS)) \
    || die "MAX_TOKENS must be at least $POSITIONS, which a document may have with BART, got $MAX_TOKENS"
  WEIGHTS=${WEIGHTS:-$ROOT/summarization/weights}
  check_folders WEIGHTS
  START=(--finetune-from-model "$WEIGHTS/$MODEL/model.pt")
  ARCHITECTURE=(--arch "${MODEL//./_}" --layernorm-embedding --share-all-embeddings
    --share-decoder-input-output-embed --attention-dropout 0.1)
  OPTIMIZER=(--optimizer adam --adam-betas '(0.9, 0.999)' --adam-eps 1e-08 --weight-decay 0.01)
  COMMON+=(--clip-norm 0.1 --find-unused-parameters)
fi
SCHEDULER=(--lr-scheduler polynomial_decay --warmup-updates "$WARMUP" --total-num-update "$MAX_UPDATE")
if [[ -n $FROM ]]; then
  SCHEDULER=(--lr-scheduler fixed) START=(--finetune-from-model "$FROM/checkpoints/checkpoint_best.pt")
fi

# published_weights: $WEIGHTS/$MODEL/model.pt, downloaded and unpacked.
published_weights() {
  local OUT=$WEIGHTS # of run_stage
  [[ ! -e $WEIGHTS/$MODEL ]] || return 0
  mkdir -p "$WEIGHTS"
  ( # the lock ends with it: another training may unpack another model there
    lock_folder WEIGHTS
    fetch "$MODELS_URL/$MODEL.tar.gz" "$WEIGHTS/$MODEL.tar.gz"
    run_stage "unpacking $MODEL" "$MODEL" unpack_weights
  )
}

unpack_weights() {
  mkdir -p "$1"
  tar -xzf "$WEIGHTS/$MODEL.tar.gz" -C "$1" --strip-components 1 2>"$WEIGHTS/unpack.log" && [[ -s $1/model.pt ]] \
    || damaged "$WEIGHTS/$MODEL.tar.gz" " or has no $MODEL/model.pt"
}

say_cut() { # of the documents of train and val
  local split folder=$DATA/pieces-$ENCODING
  for split in train val; do
    [[ $BPE != gpt2 ]] || folder=$DATA/pieces-gpt2-$split
    awk -v name="$split" -v positions="$POSITIONS" 'NF >= positions {cut++} END {
      print cut + 0 " of " NR " documents of " name " are longer than " positions " tokens and are cut there" }' \
      "$folder/$split.source"
  done
}

train() { # fairseq resumes from checkpoint_last.pt by itself; --finetune-from-model counts where there is none
  check_last_checkpoint "$OUT/checkpoints"
  say_cut | tee -a "$OUT/train.log"
  train_logged "$OUT/train.log" fairseq-train "${FLAGS[@]}"
  touch "$1"
}

choose_loss
check_from summarization-training checkpoints/checkpoint_best.pt CORPUS MODEL ENCODING
[[ -e $DATA/bin-$ENCODING ]] \
  || die "$DATA/bin-$ENCODING is not there: run BPE=$BPE $(preparer) first, or name its folder with DATA"
setup_venv examples
count_gpus
UPDATE_FREQ=${UPDATE_FREQ:-$((UPDATE_TOKENS / MAX_TOKENS / (GPUS > 0 ? GPUS : 1)))}
((UPDATE_FREQ > 0)) || die "UPDATE_TOKENS ($UPDATE_TOKENS) is less than a batch of MAX_TOKENS ($MAX_TOKENS) on each GPU: lower MAX_TOKENS"
choose_precision
[[ $PRECISION == fp32 ]] || COMMON+=(--fp16)
make_way "$@"
FLAGS=("$DATA/bin-$ENCODING" --user-dir "$ROOT/rdrop_fairseq"
  --task translation --source-lang source --target-lang target --seed "$SEED"
  "${ARCHITECTURE[@]}" "${OPTIMIZER[@]}" "${COMMON[@]}" "${START[@]}" "${LOSS[@]}" "${SCHEDULER[@]}" --lr "$LR"
  --max-update "$MAX_UPDATE" --max-tokens "$MAX_TOKENS" --update-freq "$UPDATE_FREQ" --validate-interval 1000000
  --save-dir "$OUT/checkpoints" --save-interval-updates $(((MAX_UPDATE + 9) / 10)) --keep-interval-updates 1
  --save-interval 1000000 --no-epoch-checkpoints --num-workers 0 --log-format simple
  --log-interval $(((MAX_UPDATE + 99) / 100)) "$@")
[[ -z $FROM ]] || python -m rdrop_tools.training.same_model "${START[1]}" "${FLAGS[@]}" || exit
[[ -z $PRINT ]] || { print_command fairseq-train "${FLAGS[@]}" && exit; }
[[ -e $OUT/checkpoints ]] || check_room "$OUT" "${MIN_FREE_MB:-$NEEDED_MB}"
own_folder OUT summarization-training 'checkpoints/checkpoint*.pt' "CORPUS=$CORPUS" "MODEL=$MODEL" \
  "CRITERION=$CRITERION" "ALPHA=$ALPHA" "SEED=$SEED" "ENCODING=$ENCODING" "MAX_UPDATE=$MAX_UPDATE" "WARMUP=$WARMUP" \
  "LR=$LR" "MAX_TOKENS=$MAX_TOKENS" "UPDATE_FREQ=$UPDATE_FREQ" "FLAGS=$*" ${FROM:+"FROM=$(realpath "$FROM")"}
[[ -n $FROM || $MODEL == transformer ]] || published_weights
run_stage "training: $MAX_UPDATE updates, ${LOSS[*]}; interrupt it at any time, it resumes" trained train
say_reached "$OUT/train.log" summarization \
  "CORPUS=$CORPUS MODEL=$MODEL BPE=$BPE VOCAB=$VOCAB DATA=${DATA@Q} FROM=${OUT@Q} ${0@Q}${*:+ ${*@Q}}"
say "done: $OUT/checkpoints"
