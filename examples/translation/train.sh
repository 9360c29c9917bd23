#!/usr/bin/env bash
# Trains a translation model with or without R-Drop; see usage below. The hyper-parameters are in recipes.sh.
# shellcheck source-path=SCRIPTDIR
set -euo pipefail
source "$(dirname "$0")/common.sh"
source "$(dirname "$0")/recipes.sh"
source "$ROOT/scripts/common/training.sh"

usage() {
  cat <<'HELP'
usage: train.sh [--print] BENCHMARK.SRC-TGT [FLAG OF fairseq-train ...]

BENCHMARK is iwslt14, wmt14 or multi30k, prepared by prepare-BENCHMARK.sh: train.sh iwslt14.de-en. Or it is the name
of a corpus of your own, prepared by prepare-text.sh: its size chooses the recipe, and the log says why. Flags come
after the recipe's and win; another --arch, --optimizer or --lr-scheduler takes the recipe's flags that belong to
it away. Leaves checkpoints and train.log in OUT. Started again, it resumes. In the end it says what was
reached on valid and, of plain training, what R-Drop may bring. --print prints the command that would be run, and
runs nothing.

Environment:
  FROM        folder of another training of this model, plain as a rule: goes on from its checkpoints with R-Drop in
              every 2nd update, a new optimiser, a constant learning rate and fewer updates
  AVERAGE     with FROM, the checkpoints to begin with, averaged: last:N or best:N (as evaluate.sh takes them)
  CRITERION   rdrop (default), or plain: the baseline, with the same everything
  ALPHA       R-Drop's alpha (the recipe's)
  SEED        1
  MAX_UPDATE  updates (the recipe's); raise it to train on
  MAX_TOKENS  target tokens of a batch on one process. R-Drop takes the memory of two plain batches: where it
              is short, halve this. The number of accumulated batches (--update-freq) follows, so that an update
              has the recipe's tokens on any number of processes.
  DATA        output folder of the prepare script (data/BENCHMARK.SRC-TGT, in either direction)
  OUT         output folder (checkpoints/BENCHMARK.SRC-TGT-CRITERION-SEED, with FROM and -finish behind it)
  PRECISION   fp16 (default on GPUs) or fp32 (default on the CPU); bf16 needs fairseq-hydra-train, see README.md
  PROCESSES   on this machine: one per GPU, as far as an update's batches go (default), or any number on the CPU (1)
  NODES NODE_RANK MASTER   machines (1), this one's number from 0, HOST:PORT of number 0; OUT and DATA shared
  MIN_FREE_MB free space to ask for (500)
  VENV PYTHON virtual environment (.venv; none: the python on PATH as it is), interpreter
HELP
}
PRINT=
[[ ${1:-} != --print ]] || { PRINT=yes && shift; }
[[ $# -gt 0 && $1 != -* ]] || show_usage "no benchmark named" "$@"

NAME=$1
shift
[[ $NAME =~ ^([A-Za-z0-9][A-Za-z0-9_-]*)\.($LANGUAGE)-($LANGUAGE)$ ]] \
  || die "the benchmark must look like iwslt14.de-en, with codes of the languages (pt_BR, not pt-BR), got $NAME"
BENCHMARK=${BASH_REMATCH[1]} SRC=${BASH_REMATCH[2]} TGT=${BASH_REMATCH[4]}

CRITERION=${CRITERION:-rdrop}
SEED=${SEED:-1}
NODES=${NODES:-1} NODE_RANK=${NODE_RANK:-0} MASTER=${MASTER:-}
check_settings
((NODE_RANK < NODES)) || die "NODE_RANK must be less than NODES ($NODES), got $NODE_RANK"
((NODES == 1)) || [[ $MASTER =~ ^[^[:space:]]+:[1-9][0-9]{0,4}$ ]] \
  || die "MASTER must be HOST:PORT of the first machine for NODES=$NODES, got '$MASTER'"
if [[ -z ${DATA:-} ]]; then
  DATA=$ROOT/data/$BENCHMARK.$SRC-$TGT
  [[ -e $DATA || ! -e $ROOT/data/$BENCHMARK.$TGT-$SRC ]] || DATA=$ROOT/data/$BENCHMARK.$TGT-$SRC
fi
FROM=${FROM:-}
OUT=${OUT:-$ROOT/checkpoints/$NAME-$CRITERION-$SEED${FROM:+-finish}}
check_folders DATA OUT FROM VENV
check_data
check_made_with DATA BENCHMARK
case $(setting "$DATA" LANGS) in
  "$SRC-$TGT" | "$TGT-$SRC") ;;
  *) die "DATA: $DATA has $(setting "$DATA" LANGS), not $SRC-$TGT" ;;
esac
check_from translation-training checkpoint_best.pt BENCHMARK SRC TGT

START=() # the command for the checkpoint that it begins with, without its output
if [[ -n $FROM ]]; then
  choose_decoding "$BENCHMARK" "$FROM"
  START_AVERAGE=$AVERAGE # recipe sets it anew
  START=(python -m rdrop_tools.training.average_checkpoints
    --which "${AVERAGE%:*}" --count "${AVERAGE#*:}" "$FROM")
fi
PAIRS=
is_benchmark "$BENCHMARK" || PAIRS=$(lines "$DATA/corpus/raw/train.$SRC")
recipe "$BENCHMARK" "$PAIRS"
[[ -z $FROM ]] || finish
ALPHA=${ALPHA:-$DEFAULT_ALPHA}
MAX_UPDATE=${MAX_UPDATE:-$DEFAULT_MAX_UPDATE}
MAX_TOKENS=${MAX_TOKENS:-$DEFAULT_MAX_TOKENS}
choose_loss
[[ $CRITERION == rdrop ]] || ALPHA=none

setup_venv examples
count_gpus
if [[ -z ${PROCESSES:-} ]]; then # one per GPU, but no more than an update has batches
  most=$((TOKENS_PER_UPDATE / (MAX_TOKENS * NODES)))
  PROCESSES=$((GPUS < most ? GPUS : most))
  ((PROCESSES > 0)) || PROCESSES=1
fi
((GPUS == 0 || PROCESSES <= GPUS)) || die "PROCESSES is $PROCESSES, but there are $GPUS GPUs"
# Without a launcher, fairseq takes all the GPUs that it sees.
if ((GPUS > 1 && PROCESSES == 1)); then
  devices=${CUDA_VISIBLE_DEVICES:-0}
  export CUDA_VISIBLE_DEVICES=${devices%%,*}
fi
choose_precision
[[ $PRECISION == fp32 ]] || TRAINING+=(--fp16)
BATCHES=$((TOKENS_PER_UPDATE / (MAX_TOKENS * PROCESSES * NODES)))
((BATCHES * MAX_TOKENS * PROCESSES * NODES == TOKENS_PER_UPDATE)) \
  || die "MAX_TOKENS x processes ($MAX_TOKENS x $((PROCESSES * NODES))) must divide the $TOKENS_PER_UPDATE tokens" \
    "of an update: choose another MAX_TOKENS or PROCESSES"

NOTES=()
[[ -z $FROM ]] || NOTES+=("begins with $FROM ($START_AVERAGE), a new optimiser and a constant learning rate")
[[ -z $REASON ]] || NOTES+=("$PAIRS training pairs: $REASON")
[[ -z $REASON || $CRITERION == plain ]] || NOTES+=("alpha $ALPHA; $ALPHA_REASON")
if [[ $(sacrebleu_tokenizer "$TGT") != 13a ]]; then # which would count lines as words
  UNDO_BPE=(--eval-bleu-detok space --eval-tokenized-bleu)
  NOTES+=("checkpoints are chosen by BLEU on pieces, not on words: words of $TGT need a tokeniser of its own")
elif [[ $(setting "$DATA" BPE) == sentencepiece ]]; then
  UNDO_BPE=(--eval-bleu-detok space --eval-bleu-remove-bpe sentencepiece)
else
  UNDO_BPE=(--eval-bleu-detok moses --eval-bleu-remove-bpe)
fi
if [[ $(setting "$DATA" SEPARATE) == 1 ]]; then # without one vocabulary there is no embedding for all
  ARCHITECTURE=("${ARCHITECTURE[@]/--share-all-embeddings/--share-decoder-input-output-embed}")
fi

LAUNCHER=(fairseq-train)
if ((PROCESSES * NODES > 1)); then
  RENDEZVOUS=(--standalone)
  ((NODES == 1)) || RENDEZVOUS=(--nnodes "$NODES" --node-rank "$NODE_RANK"
    --master-addr "${MASTER%:*}" --master-port "${MASTER##*:}")
  # shellcheck disable=SC2016 # each process has its own number
  LAUNCHER=(torchrun "${RENDEZVOUS[@]}" --nproc-per-node "$PROCESSES" --no-python bash -c
    'exec fairseq-train "$@" --device-id "$LOCAL_RANK" --distributed-rank "$RANK" --distributed-world-size "$WORLD_SIZE"'
    fairseq-train)
  TRAINING+=(--distributed-init-method env:// --distributed-no-spawn)
fi
# No example may be longer than a batch: fairseq would stop at it, where it skips what is too long for the model.
((MAX_TOKENS >= 1024)) || TRAINING+=(--max-source-positions "$MAX_TOKENS" --max-target-positions "$MAX_TOKENS")
# fairseq gives pytorch_ddp a device, which a CPU refuses
((GPUS > 0)) || TRAINING+=(--cpu --ddp-backend legacy_ddp --distributed-backend gloo)
make_way "$@"
FLAGS=("$DATA/data-bin" --user-dir "$ROOT/rdrop_fairseq" --save-dir "$OUT"
  ${FROM:+--finetune-from-model "$OUT/start.pt"} # counts where there is no checkpoint_last.pt yet
  --task translation --source-lang "$SRC" --target-lang "$TGT"
  "${ARCHITECTURE[@]}" "${LOSS[@]}" "${OPTIMIZER[@]}" "${SCHEDULER[@]}" "${TRAINING[@]}" --seed "$SEED"
  --max-tokens "$MAX_TOKENS" --update-freq "$BATCHES" --max-update "$MAX_UPDATE"
  --eval-bleu --eval-bleu-args "{\"beam\": $VALIDATION_BEAM, \"max_len_a\": 1.2, \"max_len_b\": 10}" "${UNDO_BPE[@]}"
  --best-checkpoint-metric bleu --maximize-best-checkpoint-metric
  --log-format simple --log-interval 100 "$@")
[[ -z $FROM ]] || python -m rdrop_tools.training.same_model "$FROM/checkpoint_best.pt" "${FLAGS[@]}" || exit
if [[ -n $PRINT ]]; then
  [[ -z $FROM ]] || print_command "${START[@]}" "$OUT/start.pt"
  print_command "${LAUNCHER[@]}" "${FLAGS[@]}"
  exit
fi

begin() { "${START[@]}" "$1"; } # OUTPUT

train() { # fairseq resumes from checkpoint_last.pt by itself
  local note
  ((NODE_RANK > 0)) || check_last_checkpoint "$OUT"
  for note in "${NOTES[@]}"; do say "$note" | tee -a "$LOG"; done
  train_logged "$LOG" "${LAUNCHER[@]}" "${FLAGS[@]}"
  touch "$1"
}

check_room "$OUT" "${MIN_FREE_MB:-500}"
machine=$( ((NODE_RANK == 0)) || echo ".machine$NODE_RANK")
LOG=$OUT/train$machine.log LOCK=$machine
own_folder OUT translation-training '*.pt' "BENCHMARK=$BENCHMARK" "SRC=$SRC" "TGT=$TGT" \
  "DATA=$(realpath "$DATA")" "CRITERION=$CRITERION" "ALPHA=$ALPHA" "SEED=$SEED" "PRECISION=$PRECISION" "FLAGS=$*" \
  ${FROM:+"FROM=$(realpath "$FROM")" "AVERAGE=$START_AVERAGE"}
[[ -z $FROM ]] || ((NODE_RANK > 0)) || run_stage "what it begins with: $FROM, $START_AVERAGE" start.pt begin
run_stage "training: $NAME, ${LOSS[*]}, $MAX_UPDATE updates; interrupt it at any time, it resumes" \
  "trained-$MAX_UPDATE$machine" train
((NODE_RANK > 0)) || say_reached "$LOG" translation "DATA=${DATA@Q} FROM=${OUT@Q} ${0@Q} $NAME${*:+ ${*@Q}}"
say "done: checkpoints and train.log are in $OUT"
