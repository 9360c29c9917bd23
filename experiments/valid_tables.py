"""The tables about Multi30k's valid, of what evidence.py has found."""

from collections.abc import Iterable
from statistics import mean
from typing import Any

from experiments import evidence
from experiments.evidence import Systems, seeds, size, spread, valid_score, valid_scores
from experiments.multi30k import best_point
from experiments.rows import table
from experiments.runs import AVERAGES
from experiments.tables import NAMES, Block, minutes, padded
from experiments.training_time import Result, Seconds, before, length, timed_curve

EQUAL_UPDATES = (4_296, 10_740, 13_962)  # 8, 20 and 26 epochs of 29,000 pairs
MINUTES = (30, 40, 50, 60)
FULL_LENGTH = ("plain-10k", "rdrop-10k")  # of results/multi30k: what the screening is compared with
# One training for each alpha, size of data and model, and one that was plain at first.
KL_OF = ("rdrop-a1-long", "rdrop-a2", "rdrop-a5", "rdrop-tiny", "rdrop-10k", "start-2208")


def valid_table(systems: Systems, seconds: Seconds) -> str:
    """Every run that was tried, on valid."""
    columns = ["system", "pairs", "parameters", "seeds", "updates to the best", "BLEU, greedy"]
    columns += [f"BLEU, beam 5: {NAMES[0]}", *NAMES[1:], "nll", "train nll"]
    rows = []
    for name, results in systems.items():
        best = [best_point(result["curve"]) for result in results]
        to_best = [before(result) + point["update"] for result, point in zip(results, best, strict=True)]
        greedy, *nlls = (spread([point[key] for point in best]) for key in ("bleu", "nll", "train_nll"))
        bleu = padded(map(spread, valid_scores(results)))
        cells = [name, *size(results), seeds(results), f"{mean(to_best):,.0f}"]
        rows.append([*cells, greedy, *bleu, *nlls])
    return table(columns, rows)


def finish_table(systems: Systems, seconds: Seconds) -> str:
    """The trainings that begin with another one and that valid alone has seen, in the order of the list."""
    columns = ["system", "from", "updates", "minutes in all", f"BLEU, beam 5: {NAMES[0]}", NAMES[1]]
    columns += ["mean of the two", "nll", "KL on train, last epoch"]
    rows = []
    for name, (result, *_) in systems.items():
        if result["from"] and "test" not in result["scores"]:
            two = [valid_score(result, average) for average in AVERAGES[:2]]
            last = result["curve"][-1]
            cells = [name, result["from"]["system"], f"{last['update']:,}", minutes([result], seconds)]
            cells += [f"{score:.2f}" for score in (*two, mean(two))]
            kl = f"{last['train_kl']:.3f}" if "train_kl" in last else "-"
            rows.append([*cells, f"{best_point(result['curve'])['nll']:.2f}", kl])
    return table(columns, rows) if rows else "None of them is done yet."


def pays_table(systems: Systems, seconds: Seconds) -> str:
    """What R-Drop brings for each size of data and model."""
    gains = [f"R-Drop minus plain: {NAMES[0]}", *NAMES[1:]]
    columns = ["pairs", "parameters", "seeds", "plain", "its nll on train, on valid", "R-Drop", *gains]
    rows = []
    for rdrop, plain in evidence.compared(systems):
        cells = [*size(plain), seeds(rdrop), plain[0]["system"], ", ".join(evidence.nll(plain))]
        differences = evidence.gains_on_valid(rdrop, plain)
        rows.append([*cells, rdrop[0]["system"], *(f"{each:+.2f}" for each in differences)])
    return table(columns, rows)


def advice(systems: Systems, seconds: Seconds) -> str:
    """What R-Drop brings beside what a plain run's log foretells, the largest gain first."""
    columns = "pairs", "parameters", "seeds", "nll on train", "nll on valid", "BLEU that R-Drop adds"
    return table(columns, evidence.brought(systems))


def equal_table(systems: Systems, seconds: Seconds) -> str:
    """Each R-Drop system minus its baseline on valid at equal updates, for the seeds that both have.

    A dash where a run was not so long.
    """
    columns = ["R-Drop", "minus", "seeds", *(f"after {u:,} updates: BLEU, nll" for u in EQUAL_UPDATES)]
    rows = []
    for name, results in systems.items():
        baseline = results[0]["baseline"]
        ours, theirs = evidence.same_seeds(results, systems.get(baseline, []))
        if ours and not ours[0]["from"]:
            shortest = min(result["curve"][-1]["update"] for result in (*ours, *theirs))
            cells = [_difference_at(ours, theirs, u) if u <= shortest else "-" for u in EQUAL_UPDATES]
            rows.append([name, baseline, seeds(ours), *cells])
    return table(columns, rows)


def _difference_at(ours: list[Result], theirs: list[Result], update: int) -> str:
    def reached(results: list[Result]) -> list[float]:
        curves = (result["curve"] for result in results)
        found = [_reached(point for point in curve if point["update"] <= update) for curve in curves]
        return [mean(values) for values in zip(*found, strict=True)]

    bleu, nll = (a - b for a, b in zip(reached(ours), reached(theirs), strict=True))
    return f"{bleu:+.2f}, {nll:+.2f}"


def _reached(points: Iterable[dict[str, Any]]) -> tuple[float, float]:
    """The highest BLEU and the lowest nll."""
    points = [*points]
    return max(point["bleu"] for point in points), min(point["nll"] for point in points)


def screening_table(screening: Systems, multi30k: Systems, seconds: Seconds) -> str:
    """The ways to a cheaper R-Drop, each tried on 10,000 pairs, by time instead of updates.

    BLEU (greedy) and nll on valid, the best so far at equal time; BLEU at beam 5 after the whole run.
    """
    columns = ["system", "minutes", *(f"after {m} minutes: BLEU, nll" for m in MINUTES)]
    columns += [f"in the end: BLEU, beam 5: {NAMES[0]}", *NAMES[1:]]
    rows = []
    for name, (result,) in ({name: multi30k[name] for name in FULL_LENGTH} | screening).items():
        cells = [name, minutes([result], seconds)]
        for end in (60 * m for m in MINUTES):
            bleu, nll = _reached(point for time, point in timed_curve(result, seconds) if time <= end)
            cells.append("-" if length(result, seconds) < end else f"{bleu:.2f}, {nll:.2f}")
        rows.append([*cells, *padded(map(spread, valid_scores([result])))])
    return table(columns, rows)


def kl_table(multi30k: Systems, screening: Systems) -> str:
    """The KL divergence to expect in a log: ``rdrop_kl_loss``, in bits per token.

    Of the first epoch with R-Drop, half-way and of the last epoch.
    """
    rows = []
    for name in KL_OF:
        result = (multi30k | screening)[name][0]
        points = [point for point in result["curve"] if "train_kl" in point]
        shown = points[0], points[len(points) // 2], points[-1]
        cells = [f"{point['train_kl']:.2f} ({point['update']:,})" for point in shown]
        rows.append([f"`{name}`", f"{result['alpha']:g}", *size([result]), *cells])
    columns = ["training", "alpha", "pairs", "parameters"]
    return table([*columns, "KL at the start (update)", "half-way", "at the end"], rows)


BLOCKS: dict[str, Block] = {
    "valid": valid_table,
    "pays": pays_table,
    "advice": advice,
    "equal": equal_table,
    "finish": finish_table,
}
