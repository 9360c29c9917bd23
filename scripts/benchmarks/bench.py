"""Shared by the benchmarks: timing in turn, peak memory, one CSV with what is needed to repeat a row."""

import argparse
import csv
import datetime
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).resolve().parents[2]
Contestants = dict[str, Callable[[], Any]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--repeats", type=int, default=9, help="timed rounds, after one that is not timed")
    parser.add_argument("--out", type=Path, help="CSV to write; the table is printed in any case")


def synchronize(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def times(contestants: Contestants, repeats: int, device: str) -> dict[str, list[float]]:
    """Milliseconds of every round. All contestants take their turn in each: noise hits them alike."""
    results: dict[str, list[float]] = {name: [] for name in contestants}
    for round_ in range(repeats + 1):
        for name, function in contestants.items():
            synchronize(device)
            start = time.perf_counter()
            function()
            synchronize(device)
            if round_ > 0:
                results[name].append(1e3 * (time.perf_counter() - start))
    return results


def peak_mib(function: Callable[[], Any], device: str) -> float:
    """Largest sum of the tensors allocated in a call and not yet freed, MiB."""
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
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


def summary(milliseconds: list[float]) -> dict[str, float]:
    """Median, 20th and 80th percentile."""
    fifths = statistics.quantiles(milliseconds, n=5, method="inclusive")
    median = statistics.median(milliseconds)
    return {"median_ms": round(median, 2), "p20_ms": round(fifths[0], 2), "p80_ms": round(fifths[3], 2)}


def provenance(device: str) -> dict[str, str]:
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude", "*"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    if device == "cuda":
        name = torch.cuda.get_device_name()
    else:
        cpuinfo = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
        models = [line.split(":")[1].strip() for line in cpuinfo.splitlines() if "model name" in line]
        name = f"{models[0] if models else platform.processor()}, {torch.get_num_threads()} threads"
    return {
        "device": name,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "commit": commit,
        "date": datetime.date.today().isoformat(),
    }


def report(rows: Iterable[dict[str, Any]], out: Path | None) -> None:
    """Writes the CSV: ``out.part`` first, then the name."""
    rows = list(rows)
    if out is None:
        return
    part = out.with_name(out.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    part.replace(out)
