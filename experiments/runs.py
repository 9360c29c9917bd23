"""A list of runs, and what the log of a training tells: its curve, its best BLEU, where patience ends it.

The list is a CSV file, a training a line:

    system      name of the system; with the seed it names the run
    seed
    criterion   plain or rdrop, and alpha for rdrop
    pairs       training pairs: all, or the first so many
    max_update  updates at most
    patience    updates without a better BLEU on valid after which a training ends
    baseline    system to compare with on the test sets, at the same seed
    test        no: valid is all that this run may see; else what the test sets are scored with, as AVERAGE
                of evaluate.sh (last:10), of a run and its baseline the same
    flags       for fairseq-train, after the recipe's
"""

import csv
import io
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rdrop_tools.cli import InputError, integer
from rdrop_tools.lines import read_lines
from rdrop_tools.training.training_log import read_log

COLUMNS = [
    "system",
    "seed",
    "criterion",
    "alpha",
    "pairs",
    "max_update",
    "patience",
    "baseline",
    "test",
    "flags",
]
AVERAGES = ("best:1", "last:5", "last:10")


@dataclass(frozen=True)
class Run:
    system: str
    seed: int
    criterion: str
    alpha: str
    pairs: str
    max_update: int
    patience: int
    baseline: str
    test: str  # empty for no
    flags: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.system}-{self.seed}"


def read_runs(path: Path) -> list[Run]:
    """Raises InputError for what is not such a list, with the line."""
    lines = csv.DictReader(io.StringIO("\n".join(read_lines(path))))
    if lines.fieldnames != COLUMNS:
        raise InputError(f"{path} must have the columns {','.join(COLUMNS)}")
    runs: list[Run] = []
    for line in lines:
        try:
            runs.append(_run(line))
        except Exception as error:
            raise InputError(f"{path}, line {lines.line_num}: {error}") from None
    names = [run.name for run in runs]
    for run in runs:
        if names.count(run.name) > 1:
            raise InputError(f"{path}: {run.name} is there twice")
        if run.baseline and f"{run.baseline}-{run.seed}" not in names:
            raise InputError(
                f"{path}: {run.name} has the baseline {run.baseline}-{run.seed}, which is not there"
            )
        if run.test and run.baseline and runs[names.index(f"{run.baseline}-{run.seed}")].test != run.test:
            raise InputError(f"{path}: {run.name} and its baseline must have the same test")
    return runs


def _run(line: dict[str, str]) -> Run:
    if None in line or None in line.values():
        raise ValueError(f"expected {len(COLUMNS)} values")
    choices = {"criterion": ("plain", "rdrop"), "test": ("no", *AVERAGES)}
    for name, values in choices.items():
        if line[name] not in values:
            raise ValueError(f"{name} must be {' or '.join(values)}, got {line[name]!r}")
    if not line["system"] or "/" in line["system"]:
        raise ValueError(f"system must be a name, got {line['system']!r}")
    if line["pairs"] != "all":
        integer(1)(line["pairs"])
    return Run(
        line["system"],
        integer(1)(line["seed"]),
        line["criterion"],
        line["alpha"],
        line["pairs"],
        integer(1)(line["max_update"]),
        integer(1)(line["patience"]),
        line["baseline"],
        "" if line["test"] == "no" else line["test"],
        tuple(shlex.split(line["flags"])),
    )


def curve(log: Path, patience: int) -> tuple[list[dict[str, Any]], bool]:
    """What the ends of the epochs tell, and whether the training is at its end by ``patience``.

    A point has update, BLEU and NLL (bits per token) on valid, and of the epoch's training, dropout on, NLL,
    seconds and, with R-Drop, the KL. The curve ends where patience does, should the log go on.
    """
    if not log.exists():
        return [], False
    records = read_log(log)
    valid, train = records["valid"], records["train"]
    points: list[dict[str, Any]] = []
    improved, highest = 0, -1.0
    for update, bleu in sorted(valid.get("bleu", {}).items()):
        if update not in train.get("nll_loss", {}):
            continue  # fairseq writes of the training after it has validated and saved
        point = {"update": update, "bleu": bleu, "nll": valid["nll_loss"][update]}
        point |= {"train_nll": train["nll_loss"][update], "train_seconds": train["train_wall"][update]}
        if update in train.get("rdrop_kl_loss", {}):  # an epoch before --rdrop-start-update has none
            point["train_kl"] = train["rdrop_kl_loss"][update]
        points.append(point)
        if bleu > highest:
            improved, highest = update, bleu
        elif update - improved >= patience:
            return points, True
    return points, False


def best_point(points: list[dict[str, Any]]) -> dict[str, Any]:
    """The point of the highest BLEU; the last of equals, which is fairseq's checkpoint_best.pt."""
    return max(reversed(points), key=lambda point: point["bleu"])
