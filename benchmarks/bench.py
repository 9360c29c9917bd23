"""Shared by the benchmarks: timing in turn, peak memory, one CSV with what is needed to repeat a row."""

import csv
import datetime
import os
import platform
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch.utils.benchmark import timer
from torch.utils.flop_counter import FlopCounterMode

from rdrop_tools import cli
from rdrop_tools.lines import read_lines, replacing

ROOT = Path(__file__).resolve().parents[1]
Contestants = dict[str, Callable[[], Any]]
WARM_UPS = {"cpu": 1, "cuda": 3}  # rounds that are not timed: a GPU's libraries choose their kernels in them


def add_arguments(parser: cli.Parser) -> None:
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", type=device, default=default, help="cpu or cuda")
    parser.add_argument(
        "--repeats", type=cli.integer(1), default=9, help="timed rounds, after some not timed"
    )
    parser.add_argument("--out", type=cli.output_file, help="CSV to write; the table is printed in any case")


def device(name: str) -> str:
    """A type for argparse: a device that is there."""
    if name not in ("cpu", "cuda"):
        raise cli.InputError(f"must be cpu or cuda, got {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise cli.InputError("torch finds no GPU")
    return name


def times(contestants: Contestants, repeats: int, device: str) -> dict[str, list[float]]:
    """Milliseconds of every round. All contestants take their turn in each: noise hits them alike."""
    results: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(WARM_UPS[device] + repeats):
        for name, function in contestants.items():
            begin = timer()  # waits for a GPU
            function()
            results[name].append(1e3 * (timer() - begin))
    return {name: found[-repeats:] for name, found in results.items()}


def peak_mib(function: Callable[[], Any], device: str) -> float:
    """Largest sum of the tensors allocated in a call and not yet freed, MiB."""
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        with mock.patch("torch.cuda.reset_peak_memory_stats"):  # fairseq's trainer does it at each step's end
            function()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    activities = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=activities, profile_memory=True) as profiler:
        function()
    kineto: Any = profiler.profiler
    events = [e for e in kineto.kineto_results.events() if e.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak / 2**20


def gflop(function: Callable[[], Any]) -> float:
    """Floating-point operations of a call's matrix products, in 10^9: what it costs on any machine."""
    # From the shapes of out, a and b; torch counts the others itself.
    in_place = {torch.ops.aten.addmm_: lambda _, a, b, **__: 2 * a[0] * a[1] * b[1]}
    with FlopCounterMode(display=False, custom_mapping=in_place) as counter:
        function()
    flop: int = counter.get_total_flops()
    return flop / 1e9


def busy_ms(function: Callable[[], Any], device: str) -> float | None:
    """Milliseconds that a GPU works in a call: what the wall time has more, it waits for its host."""
    if device != "cuda":
        return None
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiler:
        function()
        torch.cuda.synchronize()
    kineto: Any = profiler.profiler
    events = [e for e in kineto.kineto_results.events() if "CUDA" in str(e.device_type())]
    return float(sum(e.duration_ns() for e in events if not e.is_user_annotation())) / 1e6


def summary(milliseconds: list[float]) -> dict[str, float]:
    """Median, 20th and 80th percentile."""
    p20, median, p80 = (round(float(q), 2) for q in np.percentile(milliseconds, (20, 50, 80)))
    return {"median_ms": median, "p20_ms": p20, "p80_ms": p80}


def provenance(device: str) -> dict[str, str]:
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:  # a machine without git, an unpacked archive
        commit = ""
    if device == "cuda":
        name = torch.cuda.get_device_name()
    else:
        cpuinfo = Path("/proc/cpuinfo")
        lines = read_lines(cpuinfo) if cpuinfo.exists() else []
        models = [line.split(":")[1].strip() for line in lines if "model name" in line]
        name = f"{[*models, platform.processor()][0]}, {torch.get_num_threads()} threads"
    return {
        "device": name,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "commit": commit or os.environ.get("COMMIT") or "unknown",  # COMMIT: for a copy without .git
        "date": datetime.date.today().isoformat(),
    }


def report(rows: Iterable[dict[str, Any]], device: str, out: Path | None) -> None:
    """Prints each row when it is there, and writes all, with what is needed to repeat them, as CSV."""
    where = provenance(device)
    print(where)
    table = []
    for row in rows:
        print("  ".join(f"{key}={value}" for key, value in row.items()), flush=True)
        table.append(row | where)
    if out is not None:
        with replacing(out) as file:
            writer = csv.DictWriter(file, fieldnames=list(table[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(table)
