"""A list of runs.

The list is a CSV file, a training a line:

    corpus      multi30k.en-de or samsum
    system      name of the system; with the seed it names the run
    seed
    criterion   plain or rdrop, and alpha for rdrop
    pairs       training pairs: all, or, of Multi30k, the first so many
    from        system with whose training of the same seed, in a line before, this one begins; empty: from
                scratch
    max_update  updates at most, those of the other training not among them
    patience    updates without a better BLEU on valid after which a training ends; empty: none, as on SAMSum
    baseline    system to compare with on the test sets, at the same seed
    test        no: valid is all that this run may see; else what the test sets are scored with, as AVERAGE
                of evaluate.sh (last:10), of a run and its baseline the same; on SAMSum best:1
    flags       for fairseq-train, after the recipe's
"""

import csv
import shlex
from dataclasses import dataclass
from pathlib import Path

from rdrop_tools.cli import InputError, integer
from rdrop_tools.lines import read_lines

COLUMNS = "corpus system seed criterion alpha pairs from max_update patience baseline test flags".split()
AVERAGES = ("best:1", "last:5", "last:10")
CHOICES = {
    "corpus": ("multi30k.en-de", "samsum"),
    "criterion": ("plain", "rdrop"),
    "test": ("no", *AVERAGES),
}
OF_SAMSUM = {"pairs": ("all",), "patience": ("",), "test": ("no", "best:1")}


@dataclass(frozen=True)
class Run:
    """start and baseline are names of runs, empty for none; test is empty for no."""

    corpus: str
    name: str
    system: str
    seed: int
    criterion: str
    alpha: str
    pairs: str
    start: str
    max_update: int
    patience: int | None
    baseline: str
    test: str
    flags: tuple[str, ...]


def read_runs(path: Path) -> list[Run]:
    """Raises InputError for what is not such a list, with the line."""
    lines = csv.DictReader(read_lines(path))
    if lines.fieldnames != COLUMNS:
        raise InputError(f"{path} must have the columns {','.join(COLUMNS)}")
    runs: dict[str, Run] = {}
    for line in lines:
        try:
            run = _run(line)
            if run.name in runs:
                raise InputError(f"{run.name} is there twice")
            start = runs.get(run.start, run)
            if run.start and (start is run or (start.corpus, start.pairs) != (run.corpus, run.pairs)):
                raise InputError(f"from: no {run.start} of the same corpus and pairs is in a line before")
        except (InputError, ValueError) as error:
            raise InputError(f"{path}, line {lines.line_num}: {error}") from None
        runs[run.name] = run
    for run in runs.values():
        if run.baseline and (run.baseline not in runs or run.test not in ("", runs[run.baseline].test)):
            raise InputError(
                f"{path}: the baseline of {run.name}, {run.baseline}, must be there, its test the same"
            )
    return [*runs.values()]


def _run(line: dict[str, str]) -> Run:
    if None in line or None in line.values():
        raise InputError(f"expected {len(COLUMNS)} values")
    for name, values in (CHOICES | (OF_SAMSUM if line["corpus"] == "samsum" else {})).items():
        if line[name] not in values:
            raise InputError(f"{name} must be {' or '.join(values) or 'empty'}, got {line[name]!r}")
    seed = integer(1)(line["seed"])
    return Run(
        **{name: line[name] for name in ("corpus", "system", "criterion", "alpha", "pairs")},
        name=f"{line['system']}-{seed}",
        seed=seed,
        start=line["from"] and f"{line['from']}-{seed}",
        max_update=integer(1)(line["max_update"]),
        patience=integer(1)(line["patience"]) if line["patience"] else None,
        baseline=line["baseline"] and f"{line['baseline']}-{seed}",
        test="" if line["test"] == "no" else line["test"],
        flags=tuple(shlex.split(line["flags"])),
    )
