#!/usr/bin/env bash
#SBATCH --job-name=rdrop
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=32
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --signal=B:USR1@300
# A job of SLURM that trains on several machines, in the environment that is activated when it is submitted:
#   sbatch --nodes=4 examples/translation/slurm.sh wmt14.en-de [FLAG OF fairseq-train ...]
# The machines share the clone, DATA and OUT. Settings are those of train.sh, exported. Five minutes before its time is
# up the job goes back into the queue; it, or a job that was preempted, resumes from its last checkpoint.
set -euo pipefail
[[ $# -gt 0 && $1 != -* && -n ${SLURM_JOB_ID:-} ]] || {
  echo "usage: sbatch examples/translation/slurm.sh BENCHMARK.SRC-TGT [FLAG OF fairseq-train ...], from the clone"
  exit "$([[ ${1:-} == --help ]]; echo $?)"
}
read -r first < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
export MASTER=$first:${MASTER_PORT:-29500} NODES=$SLURM_JOB_NUM_NODES VENV=${VENV:-none}
trap 'scontrol requeue "$SLURM_JOB_ID"' USR1
# shellcheck disable=SC2016 # each machine has its own number
srun --kill-on-bad-exit=1 bash -c 'NODE_RANK=$SLURM_NODEID exec examples/translation/train.sh "$@"' train "$@" &
wait $! # a signal ends the wait, not the training: SLURM does that
