"""The tables of the benchmarks, on the CPU and, as scripts/measure_gpu.sh has left them, on a GPU."""

import json
from itertools import groupby
from pathlib import Path

from experiments.rows import Row, read_rows, table
from rdrop_tools.cli import InputError

MS = "ms (20th, 80th percentile)"


def gpu_table(folder: Path) -> str:
    """All measurements, the latest first, without what was cut off. Raises InputError for a dry run."""
    dated = []
    for path in sorted(folder.glob("*/installed.json")):
        installed = json.loads(path.read_bytes())
        if installed["dry_run"]:
            raise InputError(
                f"{path} is of a dry run, on a CPU: only what was measured on a GPU belongs here"
            )
        where = f"{installed['hardware']}, torch {installed['versions']['torch']}, {installed['date']}"
        paths = path.with_name("loss.csv"), path.with_name("step.csv")
        loss, step = (read_rows(path) if path.exists() else [] for path in paths)
        dated.append((installed["date"], f"{where}:\n\n{loss_table(loss)}\n\n{step_table(step)}"))
    return "\n\n".join(text for _, text in sorted(dated, reverse=True))


def loss_table(measured: list[Row]) -> str:
    counted = any(row.get("bytes_a_logit") for row in measured)
    columns = ["loss", "", MS, "over the matrix products", "peak MiB", *["bytes a logit"] * counted]
    lines = []
    for case, group in groupby(measured, _loss_case):
        rows = [*group]
        products = next((row for row in rows if row["contestant"] == "matrix products"), None)
        for row in rows:
            over = f"{float(row['median_ms']) / float(products['median_ms']):.2f}" if products else "-"
            cells = [case if row is rows[0] else "", row["contestant"], _ms(row), over, _mib(row)]
            lines.append([*cells, *[row.get("bytes_a_logit") or "-"] * counted])
    return table(columns, lines)


def by_vocabulary(measured: list[Row]) -> str:
    """Time and peak of each contestant, a line for each size of the vocabulary."""
    contestants = list(dict.fromkeys(row["contestant"] for row in measured))
    cells: dict[str, dict[str, str]] = {}
    for row in measured:
        cell = f"{float(row['median_ms']):,.0f} ms, {_mib(row)} MiB"
        cells.setdefault(row["vocab"], {})[row["contestant"]] = cell
    lines = [
        [f"{int(vocab):,}", *(found.get(name, "not run") for name in contestants)]
        for vocab, found in cells.items()
    ]
    return table(["vocabulary", *contestants], lines)


def huggingface_table(measured: list[Row]) -> str:
    return table(["", MS, "peak MiB"], [[row["contestant"], _ms(row), _mib(row)] for row in measured])


def step_table(measured: list[Row]) -> str:
    of_host = any(row.get("host_share") for row in measured)
    columns = ["step", "", MS, "over plain", "operations over plain", "peak MiB", "over plain"]
    columns += ["waits for its host"] * of_host
    lines = []
    for case, rows in groupby(measured, _step_case):
        for number, row in enumerate(rows):
            over = (row[f"{cost}_over_plain"] for cost in ("time", "gflop", "peak"))
            time, gflop, peak = (f"{float(value):.2f}" if value else "-" for value in over)
            cells = [case if number == 0 else "", row["criterion"], _ms(row), time, gflop, _mib(row), peak]
            lines.append([*cells, *[f"{float(row.get('host_share') or 0):.0%}"] * of_host])
    return table(columns, lines)


def _loss_case(row: Row) -> str:
    smoothing = "" if float(row.get("label_smoothing") or 0.1) else ", no smoothing"
    sizes = f"{row['passes']} x {int(row['tokens']):,} tokens, vocabulary {int(row['vocab']):,}"
    return f"{sizes}, {row['dim']} wide, {row['dtype']}{smoothing}"


def _step_case(row: Row) -> str:
    model = f"{row['layers']} + {row['layers']} layers, {row['dim']} wide, vocabulary {int(row['vocab']):,}"
    return f"{row['setting']}: {model}, {int(row['tokens']):,} tokens, {row['dtype']}"


def _ms(row: Row) -> str:
    digits = 2 if float(row["median_ms"]) < 80 else 0
    median, low, high = (f"{float(row[name]):,.{digits}f}" for name in ("median_ms", "p20_ms", "p80_ms"))
    return f"{median} ({low}, {high})"


def _mib(row: Row) -> str:
    """A dash where the measurement has none."""
    return f"{float(row['peak_mib']):,.0f}" if row["peak_mib"] else "-"
