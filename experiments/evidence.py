"""What the results of runs.csv show, as numbers: scores seed by seed, and differences.

Which systems are compared is named here; results/PROTOCOL.md says how they were chosen.
"""

import json
import shlex
from pathlib import Path
from statistics import mean, stdev

from experiments.multi30k import best_point
from experiments.rows import read_rows
from experiments.runs import AVERAGES
from experiments.training_time import Result

Systems = dict[str, list[Result]]
Pair = tuple[list[Result], list[Result]]  # of R-Drop and plain training, seed by seed

SACREBLEU, CHRF = "BLEU, sacreBLEU", "chrF2, sacreBLEU"
TESTS = ("Flickr 2016", "Flickr 2017", "MSCOCO 2017")

# The R-Drop systems that were scored on the test sets; and those of each schedule that were scored last.
TESTED = ("rdrop", "rdrop-long", "interval-2", "interval-2-long", "finish")
SCHEDULES = {
    "R-Drop": "rdrop-long",
    "R-Drop in every 2nd update": "interval-2-long",
    "plain, then R-Drop in every 2nd update": "finish",
}
LONGEST_PLAIN = "plain-long"  # their rival at equal time
# Of each size of data and model, the largest gain first: R-Drop from scratch, and as a finish.
FROM_SCRATCH = {"rdrop-10k": "plain-10k-flat", "rdrop-long": "plain-long", "rdrop-tiny": "plain-tiny"}
FINISHES = {"finish-10k": "finish-10k-plain", "finish": "finish-plain"}


def read_results(folder: Path) -> Systems:
    """{system: its results by seed}, systems and seeds in the order of runs.csv; those that are there.

    A result has system, criterion, baseline and flags of runs.csv besides what its JSON has, and under
    "from" the result that it begins with, which is listed before it, or None.
    """
    systems: Systems = {}
    named: dict[str, Result] = {}
    for row in read_rows(folder / "runs.csv"):
        path = folder / f"{row['system']}-{row['seed']}.json"
        if path.exists():
            result: Result = json.loads(path.read_bytes())
            result |= {key: row[key] for key in ("system", "criterion", "baseline")}
            result["flags"] = shlex.split(row["flags"])
            result["from"] = named[f"{row['from']}-{row['seed']}"] if row["from"] else None
            named[path.stem] = result
            systems.setdefault(row["system"], []).append(result)
    return systems


def same_seeds(ours: list[Result], theirs: list[Result]) -> Pair:
    """Raises ValueError where the two have other seeds."""
    if seeds(ours) != seeds(theirs):
        raise ValueError(f"seeds {seeds(ours)} are not {seeds(theirs)}")
    return ours, theirs


def with_baseline(systems: Systems, name: str) -> Pair:
    return same_seeds(systems[name], systems[systems[name][0]["baseline"]])


def brought(systems: Systems, pairs: dict[str, str]) -> list[list[str]]:
    """What R-Drop brought, beside what a plain run's log foretells.

    Rows of pairs, parameters, nll on train and on valid, BLEU on valid.
    """
    rows = []
    for rdrop, plain in pairs.items():
        gain = mean(gains_on_valid(*same_seeds(systems[rdrop], systems[plain])))
        rows.append([*size(systems[plain]), *nll(systems[plain]), f"{gain:+.2f}"])
    return rows


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
    found = [p for test in TESTS for p in p_values(test, results)]
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
