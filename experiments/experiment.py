"""A run of the queue from its data to its JSON, which is all that is needed afterwards."""

import datetime
import importlib.metadata
import json
import re
import time
from collections.abc import Iterable, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bench import provenance
from experiments import train_run
from experiments.corpus import Corpus, Points
from experiments.multi30k import Multi30k
from experiments.runs import Run
from experiments.samsum import SamSum
from experiments.workspace import Place, Workspace
from rdrop_tools.cli import InputError
from rdrop_tools.lines import read_lines, replacing

PARAMETERS = re.compile(r"num\. shared model params: ([\d,]+)")


def corpus_of(run: Run) -> Corpus:
    name, _, pair = run.corpus.partition(".")
    return Multi30k(pair) if name == "multi30k" else SamSum()


@dataclass(frozen=True)
class Experiment:
    """A list's runs, from data to results.

    results: the folder of the JSON files; starts: the names of runs that others begin with.
    """

    workspace: Workspace
    results: Path
    starts: Set[str] = frozenset()

    def is_done(self, run: Run) -> bool:
        return self._json(run).exists() and (not run.test or corpus_of(run).is_tested(self.result(run)))

    def result(self, run: Run) -> dict[str, Any]:
        result: dict[str, Any] = json.loads(self._json(run).read_bytes())
        return result

    def run(self, run: Run, place: Place) -> None:
        """Raises InputError, naming the log, when a step fails."""
        corpus, out = corpus_of(run), self.workspace.out(run.name)
        if not corpus.is_trained(out, run):
            _say(run, f"training on {place.name}")
            train_run.train(self.workspace, corpus, run, place)
        points, _ = corpus.curve(out, run)
        if not points:
            raise InputError(f"nothing was validated, see {out / 'train.log'}")
        _say(run, f"best on valid after {corpus.best(points)['update']} of {points[-1]['update']} updates")
        scores = corpus.evaluate(self.workspace, run, points, place)
        if run.test:
            self._keep_translations(run)
        self._write(run, self._describe(run, place, points) | scores)
        self._prune(run)
        _say(run, "done")

    def prepare(self, run: Run) -> None:
        """The data of the run, unless they are there."""
        corpus = corpus_of(run)
        script, name = corpus.prepare(run), corpus.data(run)
        out = {"OUT": str(self.workspace.folder / name)}
        self.workspace.call(list(script.command), script.settings | out, name)

    def check_start(self, run: Run) -> None:
        """
        Raises:
            InputError: the run that this one begins with is done, but its checkpoints are not here.
        """
        folder = self.workspace.out(run.start)
        if run.start and not [*folder.rglob("checkpoint_best.pt")]:
            raise InputError(
                f"{run.name} begins with {run.start}, which is done but has no checkpoint in {folder}: "
                f"to train it again, move {self.results / run.start}.json away"
            )

    def compare(self, run: Run, baseline: Run) -> None:
        """Adds the p-values of the test sets to a result that has none yet."""
        result = self.result(run)
        if corpus_of(run).compare(self.workspace, run, baseline, result):
            self._write(run, result)

    def _json(self, run: Run) -> Path:
        return self.results / f"{run.name}.json"

    def _write(self, run: Run, result: dict[str, Any]) -> None:
        with replacing(self._json(run)) as file:
            json.dump(result, file, indent=1, ensure_ascii=False)
            file.write("\n")

    def _keep_translations(self, run: Run) -> None:
        folder = self.results / "translations"
        folder.mkdir(exist_ok=True)
        for subset, path in corpus_of(run).translations(self.workspace, run).items():
            with replacing(folder / f"{run.name}.{subset}.txt", "wb") as file:
                file.write(path.read_bytes())

    def _describe(self, run: Run, place: Place, points: Points) -> dict[str, Any]:
        corpus, out = corpus_of(run), self.workspace.out(run.name)
        train = corpus.train(run)
        start = {"FROM": run.start} if run.start else {}
        train = train._replace(settings=start | train.settings | place.settings)
        return {
            "system": run.system,
            "seed": run.seed,
            "criterion": run.criterion,
            "alpha": float(run.alpha) if run.alpha else None,
            "pairs": run.pairs,
            "parameters": parameters("\n".join(read_lines(out / "train.log"))),
            "command": [str(corpus.prepare(run)), str(train)],
            "patience": run.patience,
            "commit": read_lines(train_run.commit_file(self.workspace, run))[0],
            **origin(corpus.packages, place),
            "best_update": corpus.best(points)["update"],
            "train_nll": corpus.train_nll(out, points),
            "curve": points,
        }

    def _prune(self, run: Run) -> None:
        """Leaves the best checkpoint and, where they are still needed, those to be averaged."""
        folder = self.workspace.out(run.name)
        needed = {*folder.rglob("checkpoint_best.pt")}
        if not run.test or run.name in self.starts:
            needed |= set(folder.glob("checkpoint[0-9]*.pt"))
        for path in {*folder.rglob("checkpoint*.pt")} - needed:
            path.unlink()


def parameters(log: str) -> int | None:
    """The number of parameters of the model, as fairseq-train has logged it."""
    found = PARAMETERS.search(log)
    return int(found.group(1).replace(",", "")) if found else None


def origin(packages: Iterable[str], place: Place) -> dict[str, Any]:
    """The origin of a result, but for its commit: date, hardware, and versions of what is installed."""
    versions = {name: version for name in packages if (version := _version(name))}
    return {
        "date": datetime.date.today().isoformat(),
        "hardware": place.hardware,
        "versions": {"python": provenance("cpu")["python"]} | versions,
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _say(run: Run, message: str) -> None:
    print(f"[{time.strftime('%H:%M:%S')}] {run.name}: {message}", flush=True)
