"""The tables about SAMSum."""

from experiments.evidence import Systems
from experiments.markdown_table import table
from experiments.training_time import Result, updates
from rdrop_tools.scoring.score_rouge import METRICS

NOTHING = "No run is done yet."


def samsum_table(systems: Systems) -> str:
    """Every run on valid; then those that were chosen, on the test set."""
    if not systems:
        return NOTHING
    results = [result for results in systems.values() for result in results]
    columns = ["system", "updates", "to the best", "nll on train", "nll"]
    columns += [f"{name} on valid" for name in METRICS.values()]
    rows = []
    for result in results:
        valid = result["rouge"]["val"]["system"]
        cells = [result["system"], f"{updates(result):,}", f"{result['best_update']:,}", *_nll(result)]
        rows.append([*cells, *(f"{valid[metric]['f']:.2f}" for metric in METRICS)])
    on_valid = table(columns, rows)
    rows, signature = [], ""
    for result in results:
        if test := result["rouge"].get("test"):
            signature = test["signature"]
            lines = {result["system"]: [f"{v['f']:.2f} {_interval(v)}" for v in _values(test["system"])]}
            if "difference" in test:
                values = _values(test["difference"])
                lines[f"minus {result['baseline']}"] = [f"{v['f']:+.2f} {_interval(v)}" for v in values]
                lines["p"] = [f"{v['p']:.3f}" for v in values]
            rows += [[name, *cells] for name, cells in lines.items()]
    on_test = table(["test set", *METRICS.values()], rows)
    return f"{on_valid}\n\n{on_test}\n\nF, 95% intervals; `{signature}`"


def measured_gains(systems: Systems) -> list[tuple[str, ...]]:
    """(data, plain training's nll on train, on valid, what R-Drop brought) of each length from scratch."""
    rows = []
    for results in systems.values():
        for result in results:
            rouge = result["rouge"].get("test", {}).get("difference")
            if rouge and not result["from"]:
                (plain,) = (each for each in systems[result["baseline"]] if each["seed"] == result["seed"])
                gain = f"{rouge['rouge1']['f']:+.2f} ROUGE-1 on the test set (p = {rouge['rouge1']['p']:.3f})"
                rows.append((f"SAMSum from scratch, after {updates(result):,} updates", *_nll(plain), gain))
    return rows


def _nll(result: Result) -> list[str]:
    """On train and, of the best checkpoint, on valid."""
    best = next(point for point in result["curve"] if point["update"] == result["best_update"])
    return [f"{result['train_nll']:.2f}", f"{best['nll']:.2f}"]


def _values(of_metric: dict[str, Result]) -> list[Result]:
    return [of_metric[metric] for metric in METRICS]


def _interval(value: Result) -> str:
    low, high = value["f_95"]
    return f"[{low:.2f}, {high:.2f}]"
