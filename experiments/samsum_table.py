"""The tables about SAMSum, of what run_samsum.py has left."""

import json
from pathlib import Path

from experiments.markdown_table import table
from experiments.training_time import Result
from rdrop_tools.scoring.score_rouge import METRICS

NOTHING = "No run is done yet."


def read_results(folder: Path) -> list[Result]:
    """The shorter trainings first, and of each length plain training first."""
    results = [json.loads(path.read_bytes()) for path in folder.glob("*.json")]
    return sorted(results, key=lambda result: (_length(result), result["alpha"] or 0.0, result["system"]))


def samsum_table(results: list[Result]) -> str:
    """Every run on valid; then those that were chosen, on the test set."""
    if not results:
        return NOTHING
    columns = ["system", "updates", "to the best", "nll on train", "nll"]
    columns += [f"{name} on valid" for name in METRICS.values()]
    rows = []
    for result in results:
        valid = result["rouge"]["val"]["system"]
        cells = [result["system"], _updates(result), f"{result['best_update']:,}", *_nll(result)]
        rows.append([*cells, *(f"{valid[metric]['f']:.2f}" for metric in METRICS)])
    on_valid = table(columns, rows)
    rows, signature = [], ""
    for result in results:
        if test := result["rouge"].get("test"):
            signature = test["signature"]
            lines = {result["system"]: [f"{v['f']:.2f} {_interval(v)}" for v in _values(test["system"])]}
            if "difference" in test:
                values = _values(test["difference"])
                lines["difference"] = [f"{v['f']:+.2f} {_interval(v)}" for v in values]
                lines["p"] = [f"{v['p']:.3f}" for v in values]
            rows += [[name, _updates(result), *cells] for name, cells in lines.items()]
    on_test = table(["test set", "updates", *METRICS.values()], rows)
    return f"{on_valid}\n\n{on_test}\n\nF, 95% intervals; `{signature}`"


def measured_gains(results: list[Result]) -> list[tuple[str, ...]]:
    """(data, plain training's nll on train, on valid, what R-Drop brought) of each length."""
    plain = {_setting(result): _nll(result) for result in results if result["alpha"] is None}
    rows = []
    for result in results:
        if rouge := result["rouge"].get("test", {}).get("difference"):
            gain = f"{rouge['rouge1']['f']:+.2f} ROUGE-1 on the test set (p = {rouge['rouge1']['p']:.3f})"
            data = f"SAMSum from scratch, after {_updates(result)} updates"
            rows.append((data, *plain[_setting(result)], gain))
    return rows


def _nll(result: Result) -> list[str]:
    """On train and, of the best checkpoint, on valid."""
    best = next(point for point in result["curve"] if point["update"] == result["best_update"])
    return [f"{result['train_nll']:.2f}", f"{best['nll']:.2f}"]


def _values(of_metric: dict[str, Result]) -> list[Result]:
    return [of_metric[metric] for metric in METRICS]


def _setting(result: Result) -> tuple[int, int]:
    """The setting that a run shares with the one that it is compared with."""
    return _length(result), result["seed"]


def _updates(result: Result) -> str:
    """That it was trained for."""
    return f"{_length(result):,}"


def _length(result: Result) -> int:
    updates: int = result["curve"][-1]["update"]
    return updates


def _interval(value: Result) -> str:
    low, high = value["f_95"]
    return f"[{low:.2f}, {high:.2f}]"
