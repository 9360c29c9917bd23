"""The tables about Multi30k's valid, of what evidence.py has found."""

import statistics

from experiments.evidence import (
    Spread,
    Systems,
    brought,
    compared,
    gains_on_valid,
    nll,
    seeds,
    size,
    valid_score,
    valid_scores,
)
from experiments.markdown_table import table
from experiments.multi30k import best_point
from experiments.runs import AVERAGES
from experiments.tables import NAMES, Block
from experiments.training_time import Result, Seconds, length, updates

EQUAL_UPDATES = (4_296, 10_740, 13_962)  # 8, 20 and 26 epochs of 29,000 pairs
NO_PAIR = "No two runs to compare are done yet."


def valid_table(systems: Systems, seconds: Seconds) -> str:
    """Every run that was tried, on valid."""
    if not systems:
        return "No run is done yet."
    columns = ["system", "pairs", "parameters", "seeds", "updates to the best", "BLEU, greedy"]
    columns += [f"BLEU, beam 5: {NAMES[0]}", *NAMES[1:], "nll", "train nll"]
    rows = []
    for name, results in systems.items():
        best = [best_point(result["curve"]) for result in results]
        bleu = [str(spread) for spread in valid_scores(results)]
        cells = [
            name,
            *size(results),
            seeds(results),
            f"{statistics.mean(map(_updates_to_best, results)):,.0f}",
            Spread.of(point["bleu"] for point in best),
            *(bleu + ["-"] * len(AVERAGES))[: len(AVERAGES)],
            Spread.of(point["nll"] for point in best),
            Spread.of(point["train_nll"] for point in best),
        ]
        rows.append(cells)
    return table(columns, rows)


def _updates_to_best(result: Result) -> int:
    """Those of the training that it begins with among them."""
    return int(best_point(result["curve"])["update"]) + (updates(result["from"]) if result.get("from") else 0)


def finish_table(systems: Systems, seconds: Seconds) -> str:
    """The trainings that begin with another one and that valid alone has seen, in the order of the list."""
    columns = [
        "system",
        "from",
        "updates",
        "minutes in all",
        "BLEU, beam 5: best checkpoint",
        "last 5 averaged",
    ]
    columns += ["mean of the two", "nll", "KL on train, last epoch"]
    rows = []
    for name, (result, *_) in systems.items():
        if result.get("from") and "test" not in result["scores"]:
            two = [valid_score(result, average) for average in ("best:1", "last:5")]
            last = result["curve"][-1]
            rows.append(
                [
                    name,
                    result["from"]["system"],
                    f"{last['update']:,}",
                    f"{length(result, seconds) / 60:.0f}",
                    *(f"{score:.2f}" for score in (*two, statistics.mean(two))),
                    f"{best_point(result['curve'])['nll']:.2f}",
                    f"{last['train_kl']:.3f}" if "train_kl" in last else "-",
                ]
            )
    return table(columns, rows) if rows else "None of them is done yet."


def pays_table(systems: Systems, seconds: Seconds) -> str:
    """What R-Drop brings for each size of data and model."""
    gains = [f"R-Drop minus plain: {NAMES[0]}", *NAMES[1:]]
    columns = ["pairs", "parameters", "seeds", "plain", "its nll on train, on valid", "R-Drop", *gains]
    rows = []
    for rdrop, plain in compared(systems):
        figures = ", ".join(f"{value:.2f}" for value in nll(plain))
        cells = [*size(plain), seeds(rdrop), plain[0]["system"], figures, rdrop[0]["system"]]
        rows.append([*cells, *(f"{difference:+.2f}" for difference in gains_on_valid(rdrop, plain))])
    return table(columns, rows) if rows else NO_PAIR


def advice(systems: Systems, seconds: Seconds) -> str:
    """What R-Drop brings beside what a plain run's log foretells, the largest gain first."""
    columns = "pairs", "parameters", "seeds", "nll on train", "nll on valid", "BLEU that R-Drop adds"
    rows = [
        [*row.size, row.seeds, f"{row.train_nll:.2f}", f"{row.valid_nll:.2f}", f"{row.bleu:+.2f}"]
        for row in brought(systems)
    ]
    return table(columns, rows) if rows else NO_PAIR


def equal_table(systems: Systems, seconds: Seconds) -> str:
    """Each R-Drop system minus its baseline on valid at equal updates, for the seeds that both have."""
    columns = ["R-Drop", "minus", "seeds", *(f"after {u:,} updates: BLEU, nll" for u in EQUAL_UPDATES)]
    rows = []
    for name, results in systems.items():
        baseline = {result["seed"]: result for result in systems.get(results[0]["baseline"], [])}
        pairs = [(result, baseline[result["seed"]]) for result in results if result["seed"] in baseline]
        if pairs and not results[0].get("from"):
            cells = [name, results[0]["baseline"], seeds([result for result, _ in pairs])]
            rows.append([*cells, *(_difference_at(pairs, updates) for updates in EQUAL_UPDATES)])
    return table(columns, rows) if rows else NO_PAIR


def _difference_at(pairs: list[tuple[Result, Result]], update: int) -> str:
    """A dash where a run was not so long."""
    if any(result["curve"][-1]["update"] < update for pair in pairs for result in pair):
        return "-"
    reached = [[_reached(result, update) for result in pair] for pair in pairs]
    bleu, nll = (statistics.mean(rdrop[i] - plain[i] for rdrop, plain in reached) for i in (0, 1))
    return f"{bleu:+.2f}, {nll:+.2f}"


def _reached(result: Result, update: int) -> tuple[float, float]:
    """The highest BLEU and the lowest nll on valid by then."""
    points = [point for point in result["curve"] if point["update"] <= update]
    return max(point["bleu"] for point in points), min(point["nll"] for point in points)


BLOCKS: dict[str, Block] = {
    "valid": valid_table,
    "pays": pays_table,
    "advice": advice,
    "equal": equal_table,
    "finish": finish_table,
}
