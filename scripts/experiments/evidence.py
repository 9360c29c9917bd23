"""What the results of runs.csv show, as numbers: means over seeds, differences, and when R-Drop is ahead."""

import csv
import json
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from scripts.common.lines import read_lines

Result = dict[str, Any]  # the JSON of a run, and its baseline


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

    A result has the baseline of runs.csv besides what its JSON has.
    """
    systems: dict[str, list[Result]] = {}
    for row in csv.DictReader(read_lines(folder / "runs.csv")):
        path = folder / f"{row['system']}-{row['seed']}.json"
        if path.exists():
            systems.setdefault(row["system"], []).append(
                json.loads(path.read_bytes()) | {"baseline": row["baseline"]}
            )
    return systems


def seconds_per_update(steps: Path) -> dict[str, float]:
    """{contestant of benchmark_step.py: seconds of an undisturbed update}"""
    return {row["criterion"]: float(row["median_ms"]) / 1000 for row in csv.DictReader(read_lines(steps))}


def best_so_far(result: Result, seconds: float) -> list[tuple[float, float]]:
    """(seconds of undisturbed training, best BLEU on valid by then), a point a validation."""
    points, best = [], 0.0
    for point in result["curve"]:
        best = max(best, point["bleu"])
        points.append((point["update"] * seconds, best))
    return points


def at(points: list[tuple[float, float]], seconds: float) -> float:
    """The step function through ``points``; before the first of them 0."""
    return max((bleu for time, bleu in points if time <= seconds), default=0.0)


def mean_at(results: list[Result], seconds_of_update: float, seconds: float) -> float:
    return statistics.mean(at(best_so_far(result, seconds_of_update), seconds) for result in results)


def ahead_for_good(
    ours: list[Result], ours_seconds: float, theirs: list[Result], theirs_seconds: float
) -> float | None:
    """Seconds after which the mean of ``ours``, best so far at equal time, stays above that of ``theirs``.

    None where it is not above at the end of the longer training.
    """
    times = sorted(
        {
            point["update"] * s
            for rs, s in ((ours, ours_seconds), (theirs, theirs_seconds))
            for r in rs
            for point in r["curve"]
        }
    )
    ahead = None
    for time in reversed(times):
        if mean_at(ours, ours_seconds, time) <= mean_at(theirs, theirs_seconds, time):
            break
        ahead = time
    return ahead
