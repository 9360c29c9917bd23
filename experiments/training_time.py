"""The time of a training: each of its updates counts as long as the benchmark says of its kind.

A training that begins with another one has that one's time, and its curve, before its own.
"""

import argparse
from collections.abc import Iterable
from functools import cache
from itertools import accumulate
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from experiments.rows import read_rows
from experiments.workspace import ROOT
from rdrop_fairseq.schedule import Schedule

STEPS = ROOT / "results" / "benchmark" / "step-multi30k.csv"
PLAIN, RDROP, IN_TREE, PLAIN_FUSED, EVERY_2ND = (
    "plain",
    "ours, fused loss",
    "fairseq in-tree R-Drop",
    "ours, fused loss, 1 pass",
    "ours, fused loss, every 2nd update",
)
Result = dict[str, Any]  # the JSON of a run, and what runs.csv says of it
Seconds = dict[str, float]  # {contestant of benchmark_step.py: of an undisturbed update}


def seconds_per_update(steps: Path) -> Seconds:
    return {row["criterion"]: float(row["median_ms"]) / 1000 for row in read_rows(steps)}


def in_tree(seconds: Seconds) -> Seconds:
    """With fairseq's own R-Drop."""
    return seconds | {RDROP: seconds[IN_TREE]}


class Kinds(NamedTuple):
    """Which updates of a training have R-Drop, by the criterion's own schedule; and what the others are."""

    passes: int
    start: int
    interval: int
    single: str  # the contestant

    @classmethod
    def of(cls, criterion: str, words: Iterable[str]) -> "Kinds":
        """criterion: plain or rdrop; words: the flags for fairseq-train."""
        parser = argparse.ArgumentParser(allow_abbrev=False)
        parser.add_argument("--criterion", default="")
        parser.add_argument("--rdrop-start-update", type=int, default=0)
        parser.add_argument("--rdrop-interval", type=int, default=1)
        flags, _ = parser.parse_known_args([*words])
        # Plain training has fairseq's criterion, or ours with one pass.
        single = PLAIN if criterion == "plain" and not flags.criterion else PLAIN_FUSED
        return cls(1 if criterion == "plain" else 2, flags.rdrop_start_update, flags.rdrop_interval, single)

    def seconds(self, updates: int, seconds: Seconds) -> float:
        """The time of the first so many updates. With R-Drop in every 2nd the mean update was measured."""
        if self.interval == 2:
            from_start = max(updates - self.start, 0)
            return from_start * seconds[EVERY_2ND] + (updates - from_start) * seconds[self.single]
        most = 1 << max(updates - 1, 1).bit_length()
        with_rdrop = _with_rdrop(self.passes, self.start, self.interval, most)[updates]
        return with_rdrop * seconds[RDROP] + (updates - with_rdrop) * seconds[self.single]


@cache
def _with_rdrop(passes: int, start: int, interval: int, most: int) -> list[int]:
    """[of the first so many updates those that have R-Drop], up to ``most``."""
    schedule = Schedule(passes, 1.0, start, interval=interval)

    def has_rdrop(update: int) -> int:
        schedule.num_updates = update
        return int(schedule.now().passes > 1)

    return [*accumulate(map(has_rdrop, range(most)), initial=0)]


def kinds_of(result: Result) -> Kinds:
    return Kinds.of(result["criterion"], result["flags"])


def updates(result: Result) -> int:
    """Those of the training that it begins with among them."""
    return before(result) + int(result["curve"][-1]["update"])


def before(result: Result) -> int:
    """The updates of the training that it begins with."""
    return updates(result["from"]) if result["from"] else 0


def price(result: Result, seconds: Seconds) -> float:
    """The time of an update over that of a plain one, without those of the training that it begins with."""
    own: int = result["curve"][-1]["update"]
    return kinds_of(result).seconds(own, seconds) / own / seconds[PLAIN]


def timed_curve(result: Result, seconds: Seconds) -> list[tuple[float, dict[str, Any]]]:
    """(seconds of undisturbed training, point of the curve)"""
    kinds, start = kinds_of(result), result["from"]
    first = timed_curve(start, seconds) if start else []
    begin = first[-1][0] if first else 0.0
    return first + [(begin + kinds.seconds(point["update"], seconds), point) for point in result["curve"]]


def length(result: Result, seconds: Seconds) -> float:
    """The seconds of a whole training, undisturbed."""
    return timed_curve(result, seconds)[-1][0]


def validations(results: Iterable[Result], seconds: Seconds) -> list[float]:
    """The times, from the start of a training, at which one of these was validated."""
    return sorted({time for result in results for time, _ in timed_curve(result, seconds)})


def best_by(time: float, results: Iterable[Result], seconds: Seconds) -> list[float]:
    """The best BLEU on valid of each training by this time; before its first validation 0."""
    curves = (timed_curve(result, seconds) for result in results)
    return [max((p["bleu"] for passed, p in curve if passed <= time), default=0.0) for curve in curves]


def ahead_for_good(ours: list[Result], theirs: list[Result], seconds: Seconds) -> float:
    """Seconds after which the mean of ``ours``, best so far, stays above that of ``theirs``.

    Raises ValueError where it is not above in the end.
    """
    ahead = None
    for time in reversed(validations([*ours, *theirs], seconds)):
        if mean(best_by(time, ours, seconds)) <= mean(best_by(time, theirs, seconds)):
            break
        ahead = time
    if ahead is None:
        raise ValueError("in the end it is not ahead")
    return ahead
