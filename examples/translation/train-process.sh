#!/usr/bin/env bash
# One of the processes of train.sh, started by torchrun: fairseq-train, told who it is. Not to be called by hand.
set -euo pipefail
[[ -n ${RANK:-} && -n ${WORLD_SIZE:-} && -n ${LOCAL_RANK:-} && ${1:-} != --help ]] || {
  echo "usage: torchrun [--nnodes N ...] --nproc-per-node N --no-python train-process.sh FLAGS OF fairseq-train"
  exit "$([[ ${1:-} == --help ]]; echo $?)"
}
device=(--device-id "$LOCAL_RANK" --distributed-backend nccl)
[[ " $* " != *" --cpu "* ]] || device=(--device-id 0 --distributed-backend gloo)
exec fairseq-train "$@" --distributed-init-method env:// --distributed-no-spawn \
  --distributed-rank "$RANK" --distributed-world-size "$WORLD_SIZE" "${device[@]}"
