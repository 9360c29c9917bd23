"""Figures in prose that are built from results/: <!-- value NAME -->1.41<!-- end -->.

NAME is a file or a system under results/, and what to take of it, with semicolons between:

    benchmark/step-cpu.csv; medium; ours, fused loss; time_over_plain
        the row that has these values, and its column
    benchmark/step-cpu.csv; ours, fused loss; medium; median_ms; over; plain
        the same over that of the row with another first value
    multi30k/rdrop-long-2.json; curve; -1; train_kl
        keys and places of a JSON file; update=1840 is the item of a list that has this value
    multi30k/rdrop-long; minutes
        a system of runs.csv in the mean of its seeds, or one run (rdrop-long-2):
            pairs, parameters, updates, minutes
            greedy            BLEU on valid of the best checkpoint; greedy; 40: of the best by 40 minutes
            valid; best:1     at beam 5 (last:5, last:10); best:1; last:5: their mean; mean: that of all three
            test; Flickr 2016 BLEU, or the metric that follows
    multi30k/rdrop-long; minus; plain-long; greedy
        any of these minus another system's
    multi30k/rdrop-long; ahead; plain-long
        the minutes from which on it is ahead of another system at equal time; with in-tree at the end in the
        time of fairseq's own R-Drop
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
from experiments.training_time import STEPS, Result, ahead_for_good, in_tree, seconds_per_update
from rdrop_tools.cli import InputError

FORMAT = re.compile(r"[+,]*(\.\d+)?[fd%]")
WRONG_NAME = (ValueError, LookupError, TypeError, OSError, InputError)
_systems = cache(evidence.read_results)


def value(results: Path, name: str) -> str:
    """Raises one of WRONG_NAME for a name that nothing, or more than one thing, has."""
    source, *keys = [part.strip() for part in name.split(";")]
    style = keys.pop() if keys and FORMAT.fullmatch(keys[-1]) else ""
    if source.endswith(".csv"):
        found: Any = _of_table(read_rows(results / source), keys)
    elif source.endswith(".json"):
        found = _of_json(json.loads((results / source).read_bytes()), keys)
    else:
        folder, system = source.split("/")
        found = _of_system(_systems(results / folder), system, keys)
    if isinstance(found, str):
        return found
    return format(found, style or (",d" if isinstance(found, int) else ".2f"))


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
        case ["minus", other, *what]:
            ours, theirs = evidence.same_seeds(results, systems[other])
            return _mean(ours, what) - _mean(theirs, what)
        case ["ahead", other]:
            return ahead_for_good(results, systems[other], seconds_per_update(STEPS)) / 60
        case ["ahead", other, "in-tree"]:
            return ahead_for_good(results, systems[other], in_tree(seconds_per_update(STEPS))) / 60
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
        case ["greedy", minutes]:
            return training_time.best_by(60 * float(minutes), [result], seconds_per_update(STEPS))[0]
        case ["valid", *averages]:
            chosen = AVERAGES if averages == ["mean"] else averages
            return mean(evidence.valid_score(result, each) for each in chosen)
        case ["test", test, *metric]:
            return evidence.scores_on(test, [result], *metric)[0]
    raise KeyError("; ".join(keys))
