"""What the results of runs.csv show, as numbers: scores seed by seed, and differences."""

import json
import shlex
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from statistics import mean, stdev

from experiments.multi30k import best_point
from experiments.rows import read_rows
from experiments.runs import AVERAGES
from experiments.training_time import Result, updates, words_of

Systems = dict[str, list[Result]]
Pair = tuple[list[Result], list[Result]]  # of R-Drop and plain training, seed by seed

SACREBLEU, CHRF, LOWERCASED = "BLEU, sacreBLEU", "chrF2, sacreBLEU", "BLEU, tokenised, lowercased"


def read_results(folder: Path) -> Systems:
    """{system: its results by seed}, systems and seeds in the order of runs.csv; those that are there.

    A result has system, criterion, baseline and flags of runs.csv besides what its JSON has, how many seeds
    of the system are listed there, and under "from" the result that it begins with, or None.
    """
    systems: Systems = {}
    rows = {f"{row['system']}-{row['seed']}": row for row in read_rows(folder / "runs.csv")}
    listed = Counter(row["system"] for row in rows.values())

    @cache
    def read(name: str) -> Result:
        row = rows[name]
        result: Result = json.loads((folder / f"{name}.json").read_bytes())
        result |= {key: row[key] for key in ("system", "criterion", "baseline")}
        result |= {"flags": shlex.split(row["flags"]), "listed": listed[row["system"]]}
        return result | {"from": read(f"{row['from']}-{row['seed']}") if row["from"] else None}

    for name, row in rows.items():
        if (folder / f"{name}.json").exists():
            systems.setdefault(row["system"], []).append(read(name))
    return systems


def same_seeds(ours: list[Result], theirs: list[Result]) -> Pair:
    """Those of both that have a seed in common, seed by seed."""
    by_seed = {result["seed"]: result for result in theirs}
    ours = [result for result in ours if result["seed"] in by_seed]
    return ours, [by_seed[result["seed"]] for result in ours]


def all_tested(systems: Systems) -> list[Pair]:
    """R-Drop and its baseline, whenever the test sets were opened; the seeds that were compared."""
    pairs = []
    for results in systems.values():
        rdrop = [r for r in results if r["criterion"] == "rdrop" and "against" in r["scores"]]
        if rdrop:
            pairs.append(same_seeds(rdrop, systems[rdrop[0]["baseline"]]))
    return pairs


def all_done(systems: Systems) -> list[Pair]:
    """The tested pairs of which all seeds are done."""
    return [(rdrop, plain) for rdrop, plain in all_tested(systems) if len(rdrop) == rdrop[0]["listed"]]


def tested_schedules(systems: Systems) -> dict[str, Pair]:
    """{schedule in words: the last pair with it that is done}; in runs.csv a longer training comes later."""
    return {words_of(rdrop[0]): (rdrop, plain) for rdrop, plain in all_done(systems)}


def longest_plain(pairs: Iterable[Pair]) -> list[Result]:
    """Of the plain trainings from scratch of these pairs that with most updates: the rival at equal time."""
    trainings = [plain for _, plain in pairs]
    from_scratch = [results for results in trainings if not results[0]["from"]]
    return max(from_scratch or trainings, key=lambda results: sum(map(updates, results)))


def compared(systems: Systems) -> list[Pair]:
    """R-Drop and plain training from scratch of each size of data and model, each the best on valid.

    Where pairs were scored on the test sets, of the last pair of each schedule only.
    """
    sizes: dict[tuple[str, str], Systems] = {}
    for name, results in systems.items():
        if not results[0]["from"]:
            sizes.setdefault(size(results), {})[name] = results
    pairs = []
    for of_size in sizes.values():
        scored = {each[0]["system"]: each for pair in tested_schedules(of_size).values() for each in pair}
        rdrop, plain = (best_on_valid(scored or of_size, criterion) for criterion in ("rdrop", "plain"))
        if rdrop and plain:
            pairs.append((rdrop, plain))
    return pairs


def best_on_valid(systems: Systems, criterion: str) -> list[Result]:
    """The best system, by the mean of best checkpoint and averages; nothing where none has all of them."""
    means = {
        name: sum(map(mean, scores))
        for name, results in systems.items()
        if results[0]["criterion"] == criterion and len(scores := valid_scores(results)) == len(AVERAGES)
    }
    return systems[max(means, key=means.__getitem__)] if means else []


def brought(systems: Systems) -> list[list[str]]:
    """What R-Drop brought, beside what a plain run's log foretells, the largest gain first.

    Rows of pairs, parameters, seeds, nll on train and on valid, BLEU on valid.
    """
    return _gains(compared(systems))


def brought_by_finish(systems: Systems) -> list[list[str]]:
    """The same of R-Drop that goes on from plain training, beside plain training that goes on from there.

    Of each size of data and model the last in runs.csv of which all seeds are done.
    """
    pairs: dict[tuple[str, str], Pair] = {}
    for results in systems.values():
        first, control = results[0], systems.get(results[0]["baseline"])
        if first["criterion"] == "rdrop" and first["from"] and control and len(results) == first["listed"]:
            pairs[size(results)] = same_seeds(results, control)
    return _gains([*pairs.values()])


def _gains(pairs: list[Pair]) -> list[list[str]]:
    gains = [(mean(gains_on_valid(*pair)), *pair) for pair in pairs]
    return [
        [*size(plain), seeds(rdrop), *nll(plain), f"{gain:+.2f}"]
        for gain, rdrop, plain in sorted(gains, key=lambda each: -each[0])
    ]


def scores_on(test: str, results: list[Result], metric: str = SACREBLEU) -> list[float]:
    """The score of each seed."""
    return [float(result["scores"]["test"][test][metric]["score"]) for result in results]


def gains_on(test: str, ours: list[Result], theirs: list[Result]) -> list[float]:
    """The difference in BLEU of each seed."""
    return [a - b for a, b in zip(scores_on(test, ours), scores_on(test, theirs), strict=True)]


def p_values(test: str, results: list[Result]) -> list[float]:
    """The p-value of each seed's BLEU against its baseline's."""
    return [result["scores"]["against"]["test"][test][SACREBLEU]["p_value"] for result in results]


def significant(results: list[Result]) -> str:
    """In how many of the comparisons with the baseline p is below 0.05, such as "7 of 9"."""
    found = [p for test in results[0]["scores"]["test"] for p in p_values(test, results)]
    return f"{sum(p < 0.05 for p in found)} of {len(found)}"


def valid_score(result: Result, average: str) -> float:
    """BLEU on valid at beam 5, of one of AVERAGES."""
    return float(result["scores"]["valid"][average][SACREBLEU]["score"])


def valid_scores(results: list[Result]) -> list[list[float]]:
    """That of each seed, for each of AVERAGES for which the trainings had enough epochs."""
    averages = [a for a in AVERAGES if all(a in result["scores"]["valid"] for result in results)]
    return [[valid_score(result, average) for result in results] for average in averages]


def gains_on_valid(rdrop: list[Result], plain: list[Result]) -> list[float]:
    """R-Drop minus plain, BLEU at beam 5, for each of AVERAGES."""
    pairs = zip(valid_scores(rdrop), valid_scores(plain), strict=True)
    return [mean(ours) - mean(theirs) for ours, theirs in pairs]


def nll(results: list[Result]) -> list[str]:
    """The mean NLL of the best checkpoints, on train and on valid, in bits per token."""
    points = [best_point(result["curve"]) for result in results]
    return [f"{mean(point[key] for point in points):.2f}" for key in ("train_nll", "nll")]


def spread(values: list[float]) -> str:
    """Mean and standard deviation (of a sample) over the seeds; of one seed its value."""
    return f"{mean(values):.2f}" + (f" ± {stdev(values):.2f}" if len(values) > 1 else "")


def seeds(results: list[Result]) -> str:
    return ", ".join(str(result["seed"]) for result in results)


def size(results: list[Result]) -> tuple[str, str]:
    """Pairs and parameters, in words."""
    pairs = results[0]["pairs"]
    return "29,000" if pairs == "all" else f"{int(pairs):,}", f"{results[0]['parameters'] / 1e6:.1f} M"
