"""Figures in prose that are built from results/: <!-- value NAME -->1.41<!-- end -->.

NAME is a file or a system under results/, and what to take of it, with semicolons between:

    benchmark/step-cpu.csv; medium; ours, fused loss; time_over_plain
        the row that has these values, and its column
    benchmark/step-cpu.csv; ours, fused loss; medium; median_ms; over; plain
        the same over that of the row with another first value
    multi30k/rdrop-long-2.json; curve; -1; train_kl
        keys and places of a JSON file; update=1840 is the item of a list that has this value
    multi30k/rdrop-long; minutes
        a system of runs.csv in the mean of its seeds, or one run (rdrop-long-2): pairs, parameters, updates,
        minutes, greedy (of the best checkpoint), valid; best:1 (last:5, last:10, mean of the three), and
        minus another system's: minus; plain-long; greedy (valid; best:1, test; Flickr 2016)
    multi30k/rdrop-long; ahead; plain-long
        the minutes from which on it is ahead of another system at equal time
    multi30k/rdrop-long; significant
        in how many comparisons with its baseline p is below 0.05: 7 of 9

At the end there may be a format, such as .1f or +.2f; else there are two decimals, of a whole number none.
"""

import json
import re
from functools import cache
from pathlib import Path
from statistics import mean
from typing import Any

from experiments import evidence, training_time
from experiments.evidence import Systems
from experiments.multi30k import best_point
from experiments.rows import Row, read_rows
from experiments.runs import AVERAGES
from experiments.training_time import STEPS, Result, seconds_per_update
from rdrop_tools.cli import InputError

FORMAT = re.compile(r"[+,]*(\.\d+)?[fd%]")
_systems = cache(evidence.read_results)


def value(results: Path, name: str) -> str:
    """Raises InputError for a name that nothing, or more than one thing, has."""
    source, *keys = [part.strip() for part in name.split(";")]
    style = keys.pop() if keys and FORMAT.fullmatch(keys[-1]) else ""
    try:
        found = _find(results, source, keys)
    except KeyError as error:
        raise InputError(f"value {name}: there is no {error}") from None
    except (IndexError, ValueError, TypeError, OSError, InputError) as error:
        raise InputError(f"value {name}: {error}") from None
    if isinstance(found, str):
        return found
    return format(found, style or (",d" if isinstance(found, int) else ".2f"))


def _find(results: Path, source: str, keys: list[str]) -> Any:
    if source.endswith(".csv"):
        return _of_table(read_rows(results / source), keys)
    if source.endswith(".json"):
        return _of_json(json.loads((results / source).read_bytes()), keys)
    folder, system = source.split("/")
    return _of_system(_systems(results / folder), system, keys)


def _of_table(rows: list[Row], keys: list[str]) -> float:
    if "over" in keys:
        first, *others, _, other = keys
        return _of_table(rows, [first, *others]) / _of_table(rows, [other, *others])
    *values, column = keys
    found = [row for row in rows if set(values) <= set(row.values())]
    if len(found) != 1:
        raise ValueError(f"{len(found)} rows have these values")
    return float(found[0][column])


def _of_json(item: Any, keys: list[str]) -> Any:
    for key in keys:
        if isinstance(item, dict):
            item = item[key]
        elif "=" in key:
            name, wanted = key.split("=")
            (item,) = (each for each in item if str(each.get(name)) == wanted)
        else:
            item = item[int(key)]
    if not isinstance(item, (int, float, str)):
        raise ValueError("it is not a single value")
    return item


def _of_system(systems: Systems, system: str, keys: list[str]) -> Any:
    named = {f"{name}-{each['seed']}": [each] for name, found in systems.items() for each in found}
    results = (systems | named)[system]
    match keys:
        case ["minus", other, "test", test]:
            return mean(evidence.gains_on(test, *evidence.same_seeds(results, systems[other])))
        case ["minus", other, *what]:
            ours, theirs = evidence.same_seeds(results, systems[other])
            return _mean(ours, what) - _mean(theirs, what)
        case ["ahead", other]:
            ahead = training_time.ahead_for_good(results, systems[other], seconds_per_update(STEPS))
            if ahead is None:
                raise ValueError("in the end it is not ahead")
            return ahead / 60
        case ["significant"]:
            return evidence.significant(results)
    return _mean(results, keys)


def _mean(results: list[Result], keys: list[str]) -> float:
    return mean(_of_result(result, keys) for result in results)


def _of_result(result: Result, keys: list[str]) -> float:
    match keys:
        case ["pairs"]:
            return 29000 if result["pairs"] == "all" else int(result["pairs"])
        case ["parameters"]:
            return int(result["parameters"])
        case ["updates"]:
            return training_time.updates(result)
        case ["minutes"]:
            return training_time.length(result, seconds_per_update(STEPS)) / 60
        case ["greedy"]:
            return float(best_point(result["curve"])["bleu"])
        case ["valid", average]:
            averages = AVERAGES if average == "mean" else (average,)
            return mean(evidence.valid_score(result, each) for each in averages)
    raise KeyError("; ".join(keys))
