"""The tables about SAMSum, of what run_samsum.py has left."""

import json
from pathlib import Path

from scripts.experiments.evidence import Result
from scripts.scoring.score_rouge import METRICS

NOTHING = "No run is done yet."


def read_results(folder: Path) -> list[Result]:
    """By name: plain training first."""
    return [json.loads(path.read_bytes()) for path in sorted(folder.glob("*.json"))]


def samsum_table(results: list[Result]) -> str:
    """Every run on valid; then those that were chosen, on the test set."""
    if not results:
        return NOTHING
    columns = ["system", "updates", "nll on train", "nll", *(f"{name} on valid" for name in METRICS.values())]
    lines = _header(columns)
    for result in results:
        best = next(point for point in result["curve"] if point["update"] == result["best_update"])
        valid = result["rouge"]["val"]["system"]
        cells = [result["system"], f"{best['update']:,}", f"{result['train_nll']:.2f}", f"{best['nll']:.2f}"]
        lines.append(_row([*cells, *(f"{valid[metric]['f']:.2f}" for metric in METRICS)]))
    lines += ["", *_header(["test set", *METRICS.values()])]
    signature = ""
    for result in results:
        if test := result["rouge"].get("test"):
            signature = test["signature"]
            values = [test["system"][metric] for metric in METRICS]
            lines.append(_row([result["system"], *(f"{v['f']:.2f} {_interval(v)}" for v in values)]))
            if "difference" in test:
                values = [test["difference"][metric] for metric in METRICS]
                lines.append(_row(["difference", *(f"{v['f']:+.2f} {_interval(v)}" for v in values)]))
                lines.append(_row(["p", *(f"{v['p']:.3f}" for v in values)]))
    return "\n".join([*lines, "", f"F, 95% intervals; `{signature}`"])


def _interval(value: Result) -> str:
    low, high = value["f_95"]
    return f"[{low:.2f}, {high:.2f}]"


def _header(columns: list[str]) -> list[str]:
    return [_row(columns), "|---" * len(columns) + "|"]


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
