"""The tables and a sentence about GPUs, of what scripts/measure_gpu.sh has left in results/gpu/NAME."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.common.cli import InputError
from scripts.common.lines import read_lines

Row = dict[str, str]

NOTHING = (
    "No GPU has been used so far. `scripts/measure_gpu.sh OUT` tests and measures all on one, in ten minutes."
)
PRODUCTS, OURS, AUTHORS = "matrix products", "linear_rdrop_loss", "authors' formula"
PLAIN, IN_TREE = "plain", "fairseq in-tree R-Drop"
ONE_PASS, RDROP = "ours, fused loss, 1 pass", "ours, fused loss"


@dataclass(frozen=True)
class Measurement:
    """loss, step: the rows of the benchmarks."""

    installed: dict[str, Any]
    loss: list[Row]
    step: list[Row]

    @property
    def where(self) -> str:
        versions = self.installed["versions"]
        return f"{self.installed['hardware']}, torch {versions['torch']}, {self.installed['date']}"


def read_measurements(folder: Path) -> list[Measurement]:
    """The measurements, the latest first. Raises InputError for a dry run."""
    found = []
    for path in sorted(folder.glob("*/installed.json")):
        installed = json.loads(path.read_bytes())
        if installed["dry_run"]:
            raise InputError(
                f"{path} is of a dry run, on a CPU: only what was measured on a GPU belongs here"
            )
        tables = (path.parent / name for name in ("loss.csv", "step.csv"))
        rows = ([*csv.DictReader(read_lines(table))] if table.exists() else [] for table in tables)
        found.append(Measurement(installed, *rows))
    return sorted(found, key=lambda measurement: str(measurement.installed["date"]), reverse=True)


def gpu_headline(measurements: list[Measurement]) -> str:
    """What the loss and a step cost on the latest GPU, in a sentence."""
    if not measurements:
        return NOTHING
    latest = measurements[0]
    sentences = [sentence for sentence in (_of_loss(latest), _of_step(latest)) if sentence]
    return f"On a GPU ({latest.where}, [tables](docs/fused-loss.md#on-a-gpu)): {'; '.join(sentences)}."


def gpu_table(measurements: list[Measurement]) -> str:
    if not measurements:
        return NOTHING
    return "\n\n".join(
        "\n".join([f"{measurement.where}:", "", *_loss_table(measurement), "", *_step_table(measurement)])
        for measurement in measurements
    )


def _of_loss(measurement: Measurement) -> str:
    """The figures of the loss, from the first rows with two passes."""
    of_two = _cases([row for row in measurement.loss if row["passes"] == "2"], _loss_case)
    rows = {row["contestant"]: row for row in next(iter(of_two.values()), [])}
    if not {PRODUCTS, OURS, AUTHORS} <= rows.keys():
        return ""
    ours, authors = rows[OURS], rows[AUTHORS]
    return (
        f"the loss takes {_ratio(ours, rows[PRODUCTS])} times its products, {_ratio(ours, authors)} of "
        f"the time of the authors' formula and {_ratio(ours, authors, 'peak_mib')} of its memory "
        f"({_loss_case(ours)})"
    )


def _of_step(measurement: Measurement) -> str:
    cases = _cases(measurement.step, _step_case)
    if not cases:
        return ""
    case, rows = next(iter(cases.items()))
    times = {row["criterion"]: float(row["time_over_plain"]) for row in rows}
    if not {RDROP, IN_TREE, ONE_PASS} <= times.keys():
        return ""
    return (
        f"an update takes {times[RDROP]:.2f} times as long as a plain one, with fairseq's own R-Drop "
        f"{times[IN_TREE]:.2f} times, and plain training with the fused loss {times[ONE_PASS]:.2f} ({case})"
    )


def _loss_table(measurement: Measurement) -> list[str]:
    lines = [
        "| loss | | ms (20th, 80th percentile) | over the matrix products | peak MiB |",
        "|---" * 5 + "|",
    ]
    for case, rows in _cases(measurement.loss, _loss_case).items():
        products = next((row for row in rows if row["contestant"] == PRODUCTS), None)
        for row in rows:
            over = _ratio(row, products) if products else "-"
            lines.append(f"| {case} | {row['contestant']} | {_ms(row)} | {over} | {_mib(row)} |")
    return lines


def _step_table(measurement: Measurement) -> list[str]:
    lines = ["| step | | ms (20th, 80th percentile) | over plain | peak MiB | over plain |", "|---" * 6 + "|"]
    for case, rows in _cases(measurement.step, _step_case).items():
        for row in rows:
            over = [f"{float(row[f'{cost}_over_plain']):.2f}" for cost in ("time", "peak")]
            lines.append(
                f"| {case} | {row['criterion']} | {_ms(row)} | {over[0]} | {_mib(row)} | {over[1]} |"
            )
    return lines


def _cases(rows: list[Row], case_of: Any) -> dict[str, list[Row]]:
    """{what was measured: the rows of its contestants}, in the order of the files."""
    cases: dict[str, list[Row]] = {}
    for row in rows:
        cases.setdefault(case_of(row), []).append(row)
    return cases


def _loss_case(row: Row) -> str:
    smoothing = "" if float(row["label_smoothing"]) else ", no smoothing"
    sizes = f"{row['passes']} x {int(row['tokens']):,} tokens, vocabulary {int(row['vocab']):,}"
    return f"{sizes}, {row['dim']} wide, {row['dtype']}{smoothing}"


def _step_case(row: Row) -> str:
    return f"{row['setting']}, {int(row['tokens']):,} tokens, {row['dtype']}"


def _ratio(row: Row, other: Row, cost: str = "median_ms") -> str:
    return f"{float(row[cost]) / float(other[cost]):.2f}"


def _ms(row: Row) -> str:
    median, low, high = (f"{float(row[name]):,.2f}" for name in ("median_ms", "p20_ms", "p80_ms"))
    return f"{median} ({low}, {high})"


def _mib(row: Row) -> str:
    return f"{float(row['peak_mib']):,.0f}"
