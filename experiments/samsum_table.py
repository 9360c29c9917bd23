"""The tables about SAMSum."""

from itertools import chain

from experiments.evidence import Systems, same_seeds
from experiments.rows import table
from experiments.training_time import Result, before, updates
from rdrop_tools.scoring.score_rouge import METRICS


def samsum_table(systems: Systems) -> str:
    """Every run on valid; then those that were chosen, on the test set."""
    on_valid, on_test, signature = [], [], ""
    for result in chain.from_iterable(systems.values()):
        valid, test = result["rouge"]["val"]["system"], result["rouge"].get("test")
        to_best = before(result) + result["best_update"]
        cells = [result["system"], f"{updates(result):,}", f"{to_best:,}", *_nll(result)]
        on_valid.append([*cells, *(f"{valid[metric]['f']:.2f}" for metric in METRICS)])
        if test:
            signature = test["signature"]
            scores = [test["system"][metric] for metric in METRICS]
            on_test.append([result["system"], *(f"{v['f']:.2f} {_interval(v)}" for v in scores)])
            if "difference" in test:
                differences = [test["difference"][metric] for metric in METRICS]
                name = f"minus {result['baseline']}"
                on_test.append([name, *(f"{v['f']:+.2f} {_interval(v)}" for v in differences)])
                on_test.append(["p", *(f"{v['p']:.3f}" for v in differences)])
    columns = ["system", "updates", "to the best", "nll on train", "nll"]
    columns += [f"{name} on valid" for name in METRICS.values()]
    tables = table(columns, on_valid), table(["test set", *METRICS.values()], on_test)
    return "\n\n".join([*tables, f"F, 95% intervals; `{signature}`"])


def measured_gains(systems: Systems, is_finish: bool = False) -> list[list[str]]:
    """(data, plain training's nll on train, on valid, what R-Drop brought) of each length.

    From scratch, or else where both go on from another plain training.
    """
    rows = []
    for result in chain.from_iterable(systems.values()):
        rouge = result["rouge"].get("test", {}).get("difference")
        if rouge and result["criterion"] == "rdrop" and bool(result["from"]) == is_finish:
            _, (plain,) = same_seeds([result], systems[result["baseline"]])
            gain = f"{rouge['rouge1']['f']:+.2f} ROUGE-1 on the test set (p = {rouge['rouge1']['p']:.3f})"
            rows.append([f"SAMSum from scratch, after {updates(result):,} updates", *_nll(plain), gain])
    return rows


def _nll(result: Result) -> list[str]:
    """On train and, of the best checkpoint, on valid."""
    best = next(point for point in result["curve"] if point["update"] == result["best_update"])
    return [f"{result['train_nll']:.2f}", f"{best['nll']:.2f}"]


def _interval(value: Result) -> str:
    low, high = value["f_95"]
    return f"[{low:.2f}, {high:.2f}]"
