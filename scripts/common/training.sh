# Shared by the train.sh of translation and of summarization, which source it.
# shellcheck shell=bash disable=SC2034

# given FLAG ARGUMENT...: whether the flag is one of the arguments, as FLAG or as FLAG=VALUE.
given() {
  local argument
  for argument in "${@:2}"; do [[ ${argument%%=*} != "$1" ]] || return 0; done
  return 1
}

# check_from KIND CHECKPOINT KEY...: if FROM is set, dies unless it is a training of this kind, with the checkpoint, and
# this one's value of each key; same_model.py compares dictionary and model.
check_from() {
  [[ -n $FROM ]] || return 0
  check_kind FROM "$1" train.sh
  [[ $FROM != "$OUT" ]] || die "FROM: $FROM is OUT too: choose another folder with OUT"
  check_made_with FROM "${@:3}"
  [[ -e $FROM/$2 ]] || die "FROM: $FROM has no $2: train it first"
}

# make_way ARGUMENT...: what a flag of the user's replaces takes its companions with it.
make_way() {
  ! { given --arch "$@" || given -a "$@"; } || ARCHITECTURE=()
  ! given --optimizer "$@" || OPTIMIZER=()
  ! given --lr-scheduler "$@" || SCHEDULER=()
}

# choose_loss: sets LOSS, the flags for CRITERION and ALPHA.
choose_loss() {
  LOSS=(--criterion label_smoothed_cross_entropy)
  [[ $CRITERION == plain ]] || LOSS=(--criterion label_smoothed_cross_entropy_rdrop --rdrop-alpha "$ALPHA")
}

# print_command WORD...: for a shell, a line a flag.
print_command() {
  sed -E "s/'([A-Za-z0-9_./:=,@%+-]+)'/\1/g; s/ (--[a-z])/ \\\\\n  \1/g" <<<"${*@Q}"
}

# count_gpus: sets GPUS, the number that torch sees. Where there is no device of NVIDIA's, AMD's or WSL's, torch, which
# takes a second to start, need not be asked.
count_gpus() {
  GPUS=0
  [[ -z $(find /dev -maxdepth 1 -regex '/dev/\(nvidia.*\|nvmap\|kfd\|dxg\)') ]] \
    || GPUS=$(python -c 'import torch; print(torch.cuda.device_count())')
}

# choose_precision: sets PRECISION, unless it is set, by GPUS.
choose_precision() {
  PRECISION=${PRECISION:-$( ((GPUS > 0)) && echo fp16 || echo fp32)}
  ((GPUS > 0)) || [[ $PRECISION == fp32 ]] || die "PRECISION=$PRECISION needs a GPU, and there is none: take fp32"
}

# check_last_checkpoint DIR: fairseq copies checkpoint_last.pt to its place. Where a kill cut the copy short,
# this replaces it by the newest of the checkpoints, which were renamed and are whole.
check_last_checkpoint() {
  local last=$1/checkpoint_last.pt newest
  [[ -e $last ]] || return 0
  python -m zipfile --test "$last" >/dev/null 2>&1 && return
  newest=$(find "$1" -regex '.*/checkpoint_?[0-9].*\.pt' -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2-)
  [[ -n $newest ]] || die "$last is damaged and there is no other checkpoint: delete it and start again"
  say "$last is damaged; resuming from $newest"
  cp "$newest" "$last.part" && mv "$last.part" "$last"
}

# train_logged LOG COMMAND...: adds all of its output to the log, and shows the lines about updates and validation, and
# how many examples are too long for the model, without the logger's prefix.
train_logged() {
  "${@:2}" 2>&1 | tee -a "$1" | sed -u -nE \
    's/^.*[|] INFO [|] (train_inner|valid) [|] /  /p; s/^.*[|] ([0-9,]+ samples have invalid sizes)/  \1/p' \
    || die "fairseq-train failed, see $1; its last line: $(tail -n 1 "$1")"
}

# say_reached LOG TASK COMMAND: the best on valid and, of plain training, what R-Drop may bring, and the command that
# goes on with it.
say_reached() {
  local advice=()
  [[ $CRITERION == rdrop ]] || advice=(--advice "$2")
  python -m rdrop_tools.training.reached "$1" "${advice[@]}"
  [[ $CRITERION == rdrop || -n $FROM ]] || echo "To go on from here with R-Drop: $3"
}
