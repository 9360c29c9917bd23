"""What the results of runs.csv show, as numbers: means over seeds, and differences."""

import csv
import json
import shlex
import statistics
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from experiments.multi30k import best_point
from experiments.runs import AVERAGES
from experiments.training_time import Result, updates, words_of
from rdrop_tools.lines import read_lines

Systems = dict[str, list[Result]]
Pair = tuple[list[Result], list[Result]]  # of R-Drop and plain training, seed by seed

SACREBLEU, CHRF, LOWERCASED = "BLEU, sacreBLEU", "chrF2, sacreBLEU", "BLEU, tokenised, lowercased"


class Spread(NamedTuple):
    """Mean and standard deviation (of a sample; 0 for one) over the seeds."""

    mean: float
    deviation: float
    seeds: int

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        values = list(values)
        deviation = statistics.stdev(values) if len(values) > 1 else 0.0
        return cls(statistics.mean(values), deviation, len(values))

    def __str__(self) -> str:
        return f"{self.mean:.2f}" + (f" ± {self.deviation:.2f}" if self.seeds > 1 else "")


def read_results(folder: Path) -> Systems:
    """{system: its results by seed}, systems and seeds in the order of runs.csv; those that are there.

    A result has system, criterion, baseline and flags of runs.csv besides what its JSON has, how many seeds
    of the system are listed there, and under "from" the result that it begins with, or None.
    """
    systems: Systems = {}
    rows = {f"{row['system']}-{row['seed']}": row for row in csv.DictReader(read_lines(folder / "runs.csv"))}
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


def all_tested(systems: Systems) -> list[Pair]:
    """R-Drop and its baseline, whenever the test sets were opened; the seeds that both have."""
    by_name = {f"{name}-{result['seed']}": result for name, rs in systems.items() for result in rs}
    pairs = []
    for results in systems.values():
        rdrop = [result for result in results if "against" in result["scores"]]
        if rdrop and rdrop[0]["criterion"] == "rdrop":
            pairs.append((rdrop, [by_name[result["scores"]["against"]["run"]] for result in rdrop]))
    return pairs


def tested_schedules(systems: Systems) -> dict[str, Pair]:
    """{schedule in words: the last pair with it of which all seeds are done}

    In runs.csv a longer training comes later.
    """
    pairs = [(rdrop, plain) for rdrop, plain in all_tested(systems) if len(rdrop) == rdrop[0]["listed"]]
    return {words_of(rdrop[0]): (rdrop, plain) for rdrop, plain in pairs}


def longest_plain(pairs: Iterable[Pair]) -> list[Result]:
    """Of the plain trainings from scratch of these pairs that with most updates: the rival at equal time."""
    trainings = [plain for _, plain in pairs]
    from_scratch = [results for results in trainings if not results[0]["from"]]
    return max(from_scratch or trainings, key=lambda results: sum(map(updates, results)))


def score_on(result: Result, test: str, metric: str = SACREBLEU) -> float:
    return float(result["scores"]["test"][test][metric]["score"])


def scores_on(results: list[Result], test: str, metric: str = SACREBLEU) -> Spread:
    return Spread.of(score_on(result, test, metric) for result in results)


def gain(ours: list[Result], theirs: list[Result], test: str) -> Spread:
    """The mean and deviation of the seeds' differences in BLEU."""
    pairs = zip(ours, theirs, strict=True)
    return Spread.of(score_on(a, test) - score_on(b, test) for a, b in pairs)


def valid_score(result: Result, average: str) -> float:
    """BLEU on valid at beam 5, of one of AVERAGES."""
    return float(result["scores"]["valid"][average][SACREBLEU]["score"])


def valid_scores(results: list[Result]) -> list[Spread]:
    """BLEU on valid at beam 5, for each of AVERAGES for which the trainings had enough epochs."""
    valid = [result["scores"]["valid"] for result in results]
    averages = [average for average in AVERAGES if all(average in scores for scores in valid)]
    return [Spread.of(valid_score(result, average) for result in results) for average in averages]


def gains_on_valid(rdrop: list[Result], plain: list[Result]) -> list[float]:
    """R-Drop minus plain, BLEU at beam 5, for each of AVERAGES."""
    pairs = zip(valid_scores(rdrop), valid_scores(plain), strict=True)
    return [ours.mean - theirs.mean for ours, theirs in pairs]


def gain_on_valid(rdrop: list[Result], plain: list[Result]) -> float:
    return statistics.mean(gains_on_valid(rdrop, plain))


def same_seeds(ours: list[Result], theirs: list[Result]) -> Pair:
    """Those of both that have a seed in common, seed by seed."""
    by_seed = {result["seed"]: result for result in theirs}
    ours = [result for result in ours if result["seed"] in by_seed]
    return ours, [by_seed[result["seed"]] for result in ours]


def p_values(results: list[Result], test: str) -> list[float]:
    """The p-value of each seed's BLEU against its baseline's."""
    return [result["scores"]["against"]["test"][test][SACREBLEU]["p_value"] for result in results]


def significant(results: list[Result]) -> str:
    """In how many of the comparisons with the baseline p is below 0.05, such as "7 of 9"."""
    found = [p for test in results[0]["scores"]["test"] for p in p_values(results, test)]
    return f"{sum(p < 0.05 for p in found)} of {len(found)}"


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
        name: sum(spread.mean for spread in spreads)
        for name, results in systems.items()
        if results[0]["criterion"] == criterion and len(spreads := valid_scores(results)) == len(AVERAGES)
    }
    return systems[max(means, key=means.__getitem__)] if means else []


def brought(systems: Systems) -> list[list[str]]:
    """What R-Drop brought, beside what a plain run's log foretells, the largest gain first.

    Rows of pairs, parameters, seeds, nll on train and on valid, BLEU on valid.
    """
    pairs = sorted(compared(systems), key=lambda pair: -gain_on_valid(*pair))
    return [
        [*size(plain), seeds(rdrop), *nll(plain), f"{gain_on_valid(rdrop, plain):+.2f}"]
        for rdrop, plain in pairs
    ]


def nll(results: list[Result]) -> list[str]:
    """The mean NLL of the best checkpoints, on train and on valid, in bits per token."""
    points = [best_point(result["curve"]) for result in results]
    return [f"{statistics.mean(point[key] for point in points):.2f}" for key in ("train_nll", "nll")]


def seeds(results: list[Result]) -> str:
    return ", ".join(str(result["seed"]) for result in results)


def size(results: list[Result]) -> tuple[str, str]:
    """Pairs and parameters, in words."""
    pairs = results[0]["pairs"]
    return "29,000" if pairs == "all" else f"{int(pairs):,}", f"{results[0]['parameters'] / 1e6:.1f} M"
