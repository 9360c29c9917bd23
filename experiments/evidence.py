"""What the results of runs.csv show, as numbers: means over seeds, differences, and when R-Drop is ahead."""

import argparse
import csv
import json
import shlex
import statistics
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from experiments.runs import AVERAGES, best_point
from rdrop_fairseq.schedule import ordinal
from rdrop_tools.lines import read_lines

Result = dict[str, Any]  # the JSON of a run, and its baseline
Systems = dict[str, list[Result]]
Pair = tuple[list[Result], list[Result]]  # of R-Drop and plain training, seed by seed
Seconds = dict[str, float]  # {contestant of benchmark_step.py: of an undisturbed update}

PLAIN, RDROP, IN_TREE, PLAIN_FUSED = (
    "plain",
    "ours, fused loss",
    "fairseq in-tree R-Drop",
    "ours, fused loss, 1 pass",
)
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


def read_results(folder: Path) -> dict[str, list[Result]]:
    """{system: its results by seed}, systems and seeds in the order of runs.csv; those that are there.

    A result has the baseline and the flags of runs.csv besides what its JSON has, and how many seeds of the
    system are listed there.
    """
    systems: dict[str, list[Result]] = {}
    rows = [*csv.DictReader(read_lines(folder / "runs.csv"))]
    listed = Counter(row["system"] for row in rows)
    for row in rows:
        path = folder / f"{row['system']}-{row['seed']}.json"
        if path.exists():
            of_list = {"baseline": row["baseline"], "flags": shlex.split(row["flags"])}
            of_list["listed"] = listed[row["system"]]
            systems.setdefault(row["system"], []).append(json.loads(path.read_bytes()) | of_list)
    return systems


def all_tested(systems: Systems) -> list[Pair]:
    """R-Drop and its baseline, whenever the test sets were opened; the seeds that both have."""
    by_name = {f"{name}-{result['seed']}": result for name, rs in systems.items() for result in rs}
    pairs = []
    for results in systems.values():
        rdrop = [result for result in results if "against" in result["scores"]]
        if rdrop:
            pairs.append((rdrop, [by_name[result["scores"]["against"]["run"]] for result in rdrop]))
    return pairs


def tested_schedules(systems: Systems) -> dict[str, Pair]:
    """{schedule in words: the last pair with it of which all seeds are done}

    In runs.csv a longer training comes later.
    """
    pairs = [(rdrop, plain) for rdrop, plain in all_tested(systems) if len(rdrop) == rdrop[0]["listed"]]
    return {Kinds.of(rdrop[0]).words: (rdrop, plain) for rdrop, plain in pairs}


def longest_plain(pairs: Iterable[Pair]) -> list[Result]:
    """Of the plain trainings of these pairs that with most updates: the rival at equal time."""
    trainings = [plain for _, plain in pairs]
    return max(trainings, key=lambda results: sum(result["curve"][-1]["update"] for result in results))


def test_scores(results: list[Result], test: str, metric: str) -> Spread:
    return Spread.of(result["scores"]["test"][test][metric]["score"] for result in results)


def valid_scores(results: list[Result]) -> list[Spread]:
    """BLEU on valid at beam 5, for each of AVERAGES for which the trainings had enough epochs."""
    valid = [result["scores"]["valid"] for result in results]
    averages = [average for average in AVERAGES if all(average in scores for scores in valid)]
    return [Spread.of(scores[average][SACREBLEU]["score"] for scores in valid) for average in averages]


def gain(ours: list[Result], theirs: list[Result], test: str, metric: str) -> Spread:
    """The mean and deviation of the seeds' differences."""
    pairs = zip(ours, theirs, strict=True)
    return Spread.of(
        a["scores"]["test"][test][metric]["score"] - b["scores"]["test"][test][metric]["score"]
        for a, b in pairs
    )


def by_size(systems: Systems) -> dict[tuple[str, int], Systems]:
    """{(pairs, parameters): systems}, in the order of runs.csv."""
    sizes: dict[tuple[str, int], Systems] = {}
    for name, results in systems.items():
        sizes.setdefault((results[0]["pairs"], results[0]["parameters"]), {})[name] = results
    return sizes


def compared(systems: Systems) -> list[Pair]:
    """R-Drop and plain training of each size of data and model, each the best on valid.

    Where pairs were scored on the test sets, of the last pair of each schedule only.
    """
    pairs = []
    for of_size in by_size(systems).values():
        scored = {each[0]["system"]: each for pair in tested_schedules(of_size).values() for each in pair}
        rdrop, plain = (best_on_valid(scored or of_size, criterion) for criterion in ("rdrop", "plain"))
        if rdrop and plain:
            pairs.append((rdrop, plain))
    return pairs


class Brought(NamedTuple):
    """What R-Drop brought, in the mean of best checkpoint and averages on valid, and plain training's nll."""

    bleu: float
    train_nll: float
    valid_nll: float
    size: tuple[str, str]
    seeds: str


def brought(systems: Systems) -> list[Brought]:
    """What R-Drop brought for each size of data and model, the largest gain first."""
    rows = [
        Brought(statistics.mean(gains_on_valid(rdrop, plain)), *nll(plain), size(plain), seeds(rdrop))
        for rdrop, plain in compared(systems)
    ]
    return sorted(rows, reverse=True)


def gains_on_valid(rdrop: list[Result], plain: list[Result]) -> list[float]:
    """R-Drop minus plain, BLEU at beam 5, for each of AVERAGES."""
    pairs = zip(valid_scores(rdrop), valid_scores(plain), strict=True)
    return [ours.mean - theirs.mean for ours, theirs in pairs]


def nll(results: list[Result]) -> tuple[float, float]:
    """The mean NLL of the best checkpoints, on train and on valid, in bits per token."""
    points = [best_point(result["curve"]) for result in results]
    train, valid = (statistics.mean(point[key] for point in points) for key in ("train_nll", "nll"))
    return train, valid


def seeds(results: list[Result]) -> str:
    return ", ".join(str(result["seed"]) for result in results)


def size(results: list[Result]) -> tuple[str, str]:
    """Pairs and parameters, in words."""
    pairs = results[0]["pairs"]
    return "29,000" if pairs == "all" else f"{int(pairs):,}", f"{results[0]['parameters'] / 1e6:.1f} M"


def best_on_valid(systems: Systems, criterion: str) -> list[Result]:
    """The best system, by the mean of best checkpoint and averages; nothing where none has all of them."""
    means = {
        name: sum(spread.mean for spread in spreads)
        for name, results in systems.items()
        if results[0]["criterion"] == criterion and len(spreads := valid_scores(results)) == len(AVERAGES)
    }
    return systems[max(means, key=means.__getitem__)] if means else []


def seconds_per_update(steps: Path) -> Seconds:
    return {row["criterion"]: float(row["median_ms"]) / 1000 for row in csv.DictReader(read_lines(steps))}


class Kinds(NamedTuple):
    """Which updates of a training have R-Drop: every interval-th from start on; and what the others are."""

    start: float
    interval: int
    single: str  # the contestant

    @classmethod
    def of(cls, result: Result) -> "Kinds":
        parser = argparse.ArgumentParser(allow_abbrev=False)
        parser.add_argument("--criterion", default="")
        parser.add_argument("--rdrop-start-update", type=int, default=0)
        parser.add_argument("--rdrop-interval", type=int, default=1)
        flags, _ = parser.parse_known_args(result["flags"])
        if result["criterion"] == "plain":  # with fairseq's criterion, or with ours and one pass
            return cls(float("inf"), 1, PLAIN_FUSED if flags.criterion else PLAIN)
        return cls(flags.rdrop_start_update, flags.rdrop_interval, PLAIN_FUSED)

    @property
    def words(self) -> str:
        """The schedule, such as "R-Drop in every 2nd update"."""
        interval = f" in every {ordinal(self.interval)} update" if self.interval > 1 else ""
        return f"R-Drop{interval}" + (f" from update {self.start:,} on" if self.start else "")

    def seconds(self, updates: int, seconds: Seconds) -> float:
        """The time of the first so many updates, each by the benchmark of its kind."""
        with_rdrop = 0 if updates <= self.start else -(-(updates - int(self.start)) // self.interval)
        return with_rdrop * seconds[RDROP] + (updates - with_rdrop) * seconds[self.single]


def length(result: Result, seconds: Seconds) -> float:
    """The seconds of a whole training, undisturbed."""
    return Kinds.of(result).seconds(result["curve"][-1]["update"], seconds)


def best_so_far(result: Result, seconds: Seconds) -> list[tuple[float, float]]:
    """(seconds of undisturbed training, best BLEU on valid by then), a point a validation."""
    kinds = Kinds.of(result)
    points, best = [], 0.0
    for point in result["curve"]:
        best = max(best, point["bleu"])
        points.append((kinds.seconds(point["update"], seconds), best))
    return points


def at(points: list[tuple[float, float]], seconds: float) -> float:
    """The step function through ``points``; before the first of them 0."""
    return max((bleu for time, bleu in points if time <= seconds), default=0.0)


def mean_at(results: list[Result], seconds: Seconds, time: float) -> float:
    return statistics.mean(at(best_so_far(result, seconds), time) for result in results)


def ahead_for_good(ours: list[Result], theirs: list[Result], seconds: Seconds) -> float | None:
    """Seconds after which the mean of ``ours``, best so far at equal time, stays above that of ``theirs``.

    None where it is not above at the end of the longer training.
    """
    times = sorted({time for result in [*ours, *theirs] for time, _ in best_so_far(result, seconds)})
    ahead = None
    for time in reversed(times):
        if mean_at(ours, seconds, time) <= mean_at(theirs, seconds, time):
            break
        ahead = time
    return ahead
