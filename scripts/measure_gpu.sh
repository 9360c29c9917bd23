#!/usr/bin/env bash
# Measures on a GPU that one has for minutes, the most valuable first; see usage below.
set -euo pipefail
# shellcheck source=scripts/common/lib.sh
source "$(dirname "$0")/common/lib.sh"

usage() {
  cat <<'HELP'
usage: scripts/measure_gpu.sh OUT [SECONDS] [--dry-run]

Runs the tests of a GPU (tests.txt), and measures the loss (loss.csv) and the training step (step.csv; profile.txt and
trace.json.gz have one by operator), within SECONDS (600). OUT, a new or empty folder, has what each part has left as
soon as that is done. A part that fails, or takes longer than it may, loses only its own result. measure.log has what
each said and how it ended (124: out of time), installed.json where the figures come from. OUT, copied to
results/gpu/NAME, is where `make results` takes its tables from. With --dry-run some parts are run in miniature, on a CPU.

Environment:
  PYTHON     python3; it is taken as it is, with what stands on PYTHONPATH, and nothing is downloaded
  COMMIT     that of the code, where git does not tell
HELP
}

device=cuda
[[ $# -lt 2 || ${*: -1} != --dry-run ]] || { device=cpu; set -- "${@:1:$#-1}"; }
[[ $# == [12] && $1 != -* && ${2:-600} =~ ^[1-9][0-9]{1,5}$ ]] \
  || show_usage "expected OUT and, if any, a whole number of SECONDS, at least 10" "$@"
OUT=$1 limit=$((${2:-600} - 5)) # what is stopped has five seconds to end
absolute OUT
[[ -z $(ls -A "$OUT" 2>/dev/null) ]] || die "$OUT is not empty: choose another folder"
python=$("${PYTHON:-python3}" -c 'import sys; print(sys.executable)') || die "PYTHON: ${PYTHON:-python3} does not start"
export PYTHONPATH="$ROOT${PYTHONPATH:+:$PYTHONPATH}" OMP_NUM_THREADS=1
cd "$ROOT"

driver=$(nvidia-smi --query-gpu=driver_version --format=csv,noheader 2>/dev/null) || driver=unknown
installed=$("$python" - "$device" "$driver" <<'END'
import json
import sys
from importlib.metadata import distributions

import torch
from benchmarks.bench import provenance

device, driver = sys.argv[1:]
if device == "cuda" and not torch.cuda.is_available():
    sys.exit("error: torch finds no GPU; --dry-run goes through some parts on a CPU")
where = provenance(device)
installed = {"command": "scripts/measure_gpu.sh", "commit": where["commit"], "seed": 1, "date": where["date"]}
installed |= {"dry_run": device == "cpu", "hardware": where["device"]}
if device == "cuda":
    memory = torch.cuda.get_device_properties(0).total_memory
    installed |= {"memory_gib": round(memory / 2**30, 1), "driver": driver}
versions = {each.metadata["Name"]: each.version for each in distributions()}
versions |= {"python": where["python"], "cuda": torch.version.cuda or "none"}
print(json.dumps(installed | {"versions": dict(sorted(versions.items()))}, indent=1))
END
)
mkdir -p "$OUT"
echo "$installed" >"$OUT/installed.json"
trap 'jobs -pr | xargs -r kill' EXIT # the part at work

# measure RESULT MOST_SECONDS MODULE [ARGUMENT...]: adds the rows of a benchmark to OUT/RESULT, a CSV; moves what
# another module says there.
measure() {
  local result=$OUT/$1 most=$2 left=$((limit - SECONDS)) code=0 arguments=("${@:3}")
  ((left > 0)) || { say "no time left: ${*:3}" | tee -a "$OUT/measure.log"; return; }
  [[ $1 != *.csv ]] || arguments+=(--out "$result.part")
  timeout -k 5 $((left < most ? left : most)) "$python" -m "${arguments[@]}" &>"$OUT/said.part" &
  wait $! || code=$?
  say "exit $code: ${*:3}" | tee -a "$OUT/measure.log"
  cat "$OUT/said.part" >>"$OUT/measure.log"
  if [[ $1 != *.csv ]]; then
    mv "$OUT/said.part" "$result"
  elif [[ -e $result.part ]]; then
    [[ ! -e $result ]] || sed -i 1d "$result.part" # its header
    cat "$result.part" >>"$result"
  fi
  rm -f "$result.part" "$OUT/said.part"
}

loss=(loss.csv 60 benchmarks.benchmark_loss --device "$device")
step=(step.csv 60 benchmarks.benchmark_step --device "$device")
if [[ $device == cpu ]]; then
  measure "${loss[@]}" --repeats 1 --tokens 200 --vocab 300 --dim 16
  measure "${step[@]}" --repeats 1 --settings tiny
  measure profile.txt "${step[@]:1}" --settings tiny --profile "$OUT/trace.json.gz"
else
  loss+=(--tokens 4096 --max-gib 30 --vocab 10152 32768)
  measure tests.txt 180 pytest -q -p no:cacheprovider -m cuda -n 12 tests/package tests/benchmarks
  measure "${loss[@]}" --dtype bfloat16
  measure "${loss[@]}" --dtype bfloat16 --passes 1
  measure "${step[@]}" --dtype fp16 --settings wmt-base
  measure "${step[@]}" --dtype fp16 --settings wmt-big
  measure "${loss[@]}" --dtype bfloat16 --passes 1 --label-smoothing 0
  measure "${step[@]}" --dtype fp16 --settings iwslt
  measure "${step[@]}" --dtype fp32 --settings multi30k
  measure profile.txt "${step[@]:1}" --dtype fp16 --settings iwslt --profile "$OUT/trace.json.gz"
  measure "${loss[@]}" --dtype float16
  measure "${loss[@]}" --dtype float32
  measure "${step[@]}" --dtype bf16 --settings iwslt
  measure "${step[@]}" --dtype fp32 --settings iwslt
fi
say "done: $OUT"
