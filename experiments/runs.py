"""A list of runs.

The list is a CSV file, a training a line:

    corpus      multi30k.en-de or samsum
    system      name of the system; with the seed it names the run
    seed
    criterion   plain or rdrop, and alpha for rdrop
    pairs       training pairs: all, or, of Multi30k, the first so many
    from        system with whose training of the same seed this one begins; empty: from scratch
    max_update  updates at most, those of the other training not among them
    patience    updates without a better BLEU on valid after which a training ends; empty on SAMSum
    baseline    system to compare with on the test sets, at the same seed
    test        no: valid is all that this run may see; else what the test sets are scored with, as AVERAGE
                of evaluate.sh (last:10), of a run and its baseline the same; on SAMSum best:1
    flags       for fairseq-train, after the recipe's
"""

import csv
import io
import shlex
from dataclasses import dataclass
from pathlib import Path

from rdrop_tools.cli import InputError, integer
from rdrop_tools.lines import read_lines

COLUMNS = "corpus system seed criterion alpha pairs from max_update patience baseline test flags".split()
AVERAGES = ("best:1", "last:5", "last:10")


@dataclass(frozen=True)
class Run:
    corpus: str
    system: str
    seed: int
    criterion: str
    alpha: str
    pairs: str
    from_system: str  # empty for none
    max_update: int
    patience: int | None
    baseline: str
    test: str  # empty for no
    flags: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.system}-{self.seed}"

    @property
    def start(self) -> str:
        """The name of the run that this one begins with; empty for none."""
        return self.from_system and f"{self.from_system}-{self.seed}"


def read_runs(path: Path) -> list[Run]:
    """Raises InputError for what is not such a list, with the line."""
    lines = csv.DictReader(io.StringIO("\n".join(read_lines(path))))
    if lines.fieldnames != COLUMNS:
        raise InputError(f"{path} must have the columns {','.join(COLUMNS)}")
    named: dict[str, Run] = {}
    for line in lines:
        try:
            run = _run(line)
            if run.name in named:
                raise ValueError(f"{run.name} is there twice")
        except Exception as error:
            raise InputError(f"{path}, line {lines.line_num}: {error}") from None
        named[run.name] = run
    for run in named.values():
        try:
            _check_others(run, named)
        except ValueError as error:
            raise InputError(f"{path}: {error}") from None
    return [*named.values()]


def _run(line: dict[str, str]) -> Run:
    if None in line or None in line.values():
        raise ValueError(f"expected {len(COLUMNS)} values")
    choices = {
        "corpus": ("multi30k.en-de", "samsum"),
        "criterion": ("plain", "rdrop"),
        "test": ("no", *AVERAGES),
    }
    if line["corpus"] == "samsum":
        choices |= {"pairs": ("all",), "patience": ("",), "test": ("no", "best:1")}
    for name, values in choices.items():
        if line[name] not in values:
            raise ValueError(f"{name} must be {' or '.join(values) or 'empty'}, got {line[name]!r}")
    if not line["system"] or "/" in line["system"]:
        raise ValueError(f"system must be a name, got {line['system']!r}")
    if line["pairs"] != "all":
        integer(1)(line["pairs"])
    return Run(
        **{name: line[name] for name in ("corpus", "system", "criterion", "alpha", "pairs", "baseline")},
        seed=integer(1)(line["seed"]),
        from_system=line["from"],
        max_update=integer(1)(line["max_update"]),
        patience=integer(1)(line["patience"]) if line["corpus"] != "samsum" else None,
        test="" if line["test"] == "no" else line["test"],
        flags=tuple(shlex.split(line["flags"])),
    )


def _check_others(run: Run, named: dict[str, Run]) -> None:
    """The baseline, and the runs that it begins with."""
    if run.baseline:
        name = f"{run.baseline}-{run.seed}"
        if name not in named:
            raise ValueError(f"{run.name} has the baseline {name}, which is not there")
        if run.test and named[name].test != run.test:
            raise ValueError(f"{run.name} and its baseline must have the same test")
    passed = [run]
    while start := passed[-1].start:
        if start not in named:
            raise ValueError(f"{passed[-1].name} begins with {start}, which is not there")
        passed.append(named[start])
        if passed.count(named[start]) > 1:
            raise ValueError(f"{' begins with '.join(each.name for each in passed)}: a circle")
        if (passed[-1].corpus, passed[-1].pairs) != (run.corpus, run.pairs):
            raise ValueError(f"{run.name} begins with {start}, which has other pairs")
