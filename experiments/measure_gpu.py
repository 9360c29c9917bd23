"""All that is to be measured on a GPU, the most valuable first, within SECONDS.

What is installed (installed.json), the tests of a GPU (tests.txt), the loss (loss.csv), the training step
(step.csv), a profile of an R-Drop step (profile.txt, trace.json.gz), and in the time that is left runs of the
queue (runs.tar.gz). Each part's result is in OUT as soon as the part is done: a cut-off loses one part.
measure.log has what each of them said, and how long it took. OUT, copied to results/gpu/NAME, is where
`make results` takes its tables from.

Environment: LOCAL_FILES, the folder with the files of Multi30k, without which the queue has nothing to train
on; RUNS, its list (results/screening/runs.csv); JOBS, how many of them at a time (12); COMMIT, that of the
code where git does not tell.
"""

import datetime
import os
import shlex
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import IO, Any, NamedTuple

import torch

from benchmarks.bench import ROOT, provenance
from experiments.workspace import versions
from rdrop_tools import cli
from rdrop_tools.lines import write_json

PACKAGES = "torch triton ve-fairseq fairseq-fixed numpy sacrebleu liger-kernel cut-cross-entropy".split()
# Those with tests of a GPU; the others import what may not be installed.
TESTS = ["tests/package", "tests/benchmarks/test_benchmarks.py"]
PACKING_SECONDS = 10


class Part(NamedTuple):
    """What Python is called with, and its most seconds. ``result`` is what is kept of it in OUT: a CSV, to
    which its rows are added, or all that it says; empty for neither.
    """

    name: str
    words: str
    seconds: int
    result: str


def parts(device: str, out: Path, work: Path) -> list[Part]:
    """On a CPU those that take seconds there, in miniature: a benchmark, the profile and the queue."""
    loss, step = (f"-m benchmarks.benchmark_{name} --device {device}" for name in ("loss", "step"))
    profile = f"{step} --profile {shlex.quote(str(out / 'trace.json.gz'))}"
    in_miniature = (
        ("loss", f"{loss} --tokens 200 --dim 16 --repeats 1 --vocab 300", 60, "loss.csv"),
        ("profile", f"{profile} --settings small --layers 1 --max-tokens 200", 60, "profile.txt"),
    )
    loss += " --tokens 4096 --max-gib 30 --vocab 10152 32768"
    one_pass = f"{loss} --passes 1 --rivals --dtype bfloat16"
    tests = f"-m pytest -q -p no:cacheprovider -m cuda -n 12 {' '.join(TESTS)}"
    found = (
        ("tests", tests, 180, "tests.txt"),
        ("loss, bf16", f"{loss} --dtype bfloat16", 60, "loss.csv"),
        ("loss of one pass", one_pass, 60, "loss.csv"),
        ("step, wmt-base", f"{step} --settings wmt-base --dtype fp16", 60, "step.csv"),
        ("step, wmt-big", f"{step} --settings wmt-big --dtype fp16", 60, "step.csv"),
        ("loss of one pass, no smoothing", f"{one_pass} --label-smoothing 0", 60, "loss.csv"),
        ("step, iwslt", f"{step} --settings iwslt --dtype fp16", 60, "step.csv"),
        ("step, multi30k", f"{step} --settings multi30k --dtype fp32", 60, "step.csv"),
        ("profile", f"{profile} --settings iwslt --dtype fp16", 60, "profile.txt"),
        ("loss, float16", f"{loss} --dtype float16", 60, "loss.csv"),
        ("loss, float32", f"{loss} --dtype float32", 60, "loss.csv"),
        ("step, iwslt, other precisions", f"{step} --settings iwslt --dtype bf16 fp32", 90, "step.csv"),
    )
    runs = os.environ.get("RUNS") or ROOT / "results" / "screening" / "runs.csv"
    queue = ["-m", "experiments.run_queue", str(runs), str(work), "--device", device]
    queue += ["--results", str(work / "results")]
    queue += ["--jobs", os.environ.get("JOBS") or "12"] * (device == "cuda")
    queue += ["--dry-run"] * (not os.environ.get("LOCAL_FILES"))
    chosen = in_miniature if device == "cpu" else found
    return [*(Part(*each) for each in chosen), Part("queue", shlex.join(queue), 3600, "")]


def installed(device: str) -> dict[str, Any]:
    """Where the figures come from."""
    where = provenance(device)
    result = {
        "command": "scripts/measure_gpu.sh",
        "commit": where["commit"],
        "seed": 1,
        "date": datetime.date.today().isoformat(),
        "dry_run": device == "cpu",
        "hardware": where["device"],
        "versions": versions(PACKAGES) | {"cuda": torch.version.cuda or "none"},
    }
    if device == "cuda":
        properties = torch.cuda.get_device_properties(0)
        result |= {"memory_gib": round(properties.total_memory / 2**30, 1), "driver": driver()}
    return result


def driver() -> str:
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(query, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
    except FileNotFoundError:
        return "unknown"


def run(part: Part, seconds: float, out: Path, log: IO[str]) -> None:
    """Writes what the part leaves to ``out``, whether it ends well, badly, or not in time."""
    begin = time.monotonic()
    said, table = out / f"{part.name}.part", out / f"{part.result}.part"
    command = [sys.executable, *shlex.split(part.words)]
    command += ["--out", str(table)] * part.result.endswith(".csv")
    with said.open("w") as file:
        streams: Any = {"stdin": subprocess.DEVNULL, "stdout": file, "stderr": subprocess.STDOUT}
        process = subprocess.Popen(command, cwd=ROOT, start_new_session=True, **streams)
    try:
        end = f"exit {process.wait(seconds)}"
    except subprocess.TimeoutExpired:
        end = f"stopped after {seconds:.0f} s"
    for number in (signal.SIGTERM, signal.SIGKILL):  # and what it started
        try:
            os.killpg(process.pid, number)
            process.wait(5)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
    text = said.read_text(errors="replace")
    said.unlink()
    if table.exists():
        join(table, out / part.result)
    elif part.result and not part.result.endswith(".csv"):
        (out / part.result).write_text(text)
    line = f"{part.name}: {end}, {time.monotonic() - begin:.0f} s"
    print(f"\n== {line}\n{text}", file=log, flush=True)
    print(line, flush=True)


def join(part: Path, table: Path) -> None:
    """Adds the rows of a CSV to those that are there."""
    rows = part.read_text().splitlines(keepends=True)
    with table.open("a") as file:
        file.writelines(rows[1:] if file.tell() else rows)
    part.unlink()


def pack(work: Path, target: Path) -> None:
    """What the queue has left, without data and checkpoints: results of finished runs, logs of all."""
    paths = [*work.glob("results/*.json"), *work.glob("results/translations/*.txt")]
    paths += [*work.glob("*.log"), *work.glob("runs/*/train.log")]
    if paths:
        with tarfile.open(target, "w:gz") as archive:
            for path in sorted(paths):
                archive.add(path, path.relative_to(work))


def main() -> None:
    parser = cli.Parser(__doc__)
    parser.add_argument("out", type=cli.output_folder, help="a new or empty folder")
    parser.add_argument("seconds", type=cli.integer(60), nargs="?", default=600, help="(600)")
    parser.add_argument("--dry-run", action="store_true", help="some parts in miniature, on a CPU")
    args = parser.parse_args()
    deadline = time.monotonic() + args.seconds
    if not args.dry_run and not torch.cuda.is_available():
        raise cli.InputError("torch finds no GPU; --dry-run goes through some parts on a CPU")
    if args.out.exists() and any(args.out.iterdir()):
        raise cli.InputError(f"{args.out} is not empty: choose another folder")
    out, device = args.out.resolve(), "cpu" if args.dry_run else "cuda"
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / "installed.json", installed(device))
    with tempfile.TemporaryDirectory() as folder, (out / "measure.log").open("w") as log:
        work = Path(folder)
        (work / "results").mkdir()
        for part in parts(device, out, work):
            left = deadline - time.monotonic() - PACKING_SECONDS
            if left < min(10, part.seconds):
                log.write(f"\n== {part.name}: no time left\n")
                continue
            run(part, min(left, part.seconds), out, log)
        pack(work, out / "runs.tar.gz")
    print(f"done: {out}")


if __name__ == "__main__":
    cli.run(main)
