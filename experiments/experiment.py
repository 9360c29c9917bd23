"""A run of the queue from its data to its JSON, which is all that is needed afterwards."""

import datetime
import importlib.metadata
import json
import re
import shlex
import time
from collections.abc import Iterable, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bench import provenance
from experiments import score_run, train_run
from experiments.runs import Run, best_point, curve
from experiments.workspace import ROOT, Place, Workspace
from rdrop_tools.cli import InputError
from rdrop_tools.lines import read_lines, replacing

PACKAGES = ("torch", "ve-fairseq", "fairseq-fixed", "sacrebleu", "sacremoses", "subword-nmt")
PARAMETERS = re.compile(r"num\. shared model params: ([\d,]+)")


@dataclass(frozen=True)
class Experiment:
    """A list's runs, from data to results.

    results: the folder of the JSON files; starts: the names of runs that others begin with.
    """

    workspace: Workspace
    results: Path
    starts: Set[str] = frozenset()

    def is_done(self, run: Run) -> bool:
        return self._json(run).exists() and (not run.test or "test" in self.result(run)["scores"])

    def result(self, run: Run) -> dict[str, Any]:
        result: dict[str, Any] = json.loads(self._json(run).read_bytes())
        return result

    def run(self, run: Run, place: Place) -> None:
        """Raises InputError, naming the log, when a step fails."""
        if not train_run.is_trained(self.workspace, run):
            _say(run, f"training on {place.name}")
            train_run.train(self.workspace, run, place)
        points, _ = curve(self.workspace.training_log(run), run.patience)
        if not points:
            raise InputError(f"no epoch was finished, see {self.workspace.training_log(run)}")
        best = best_point(points)
        _say(run, f"BLEU {best['bleu']} on valid after {best['update']} of {points[-1]['update']} updates")
        scores = score_run.evaluate(self.workspace, run, len(points), place)
        self._write(run, self._describe(run, place, points, scores))
        self._prune(run)
        _say(run, "done")

    def check_start(self, run: Run) -> None:
        """
        Raises:
            InputError: the run that this one begins with is done, but its checkpoints are not here.
        """
        folder = self.workspace.folder / "runs" / run.start
        if run.start and not (folder / "checkpoint_best.pt").exists():
            raise InputError(
                f"{run.name} begins with {run.start}, which is done but has no checkpoint in {folder}: "
                f"to train it again, move {self.results / run.start}.json away"
            )

    def compare(self, run: Run, baseline: Run) -> None:
        """Adds the p-values of the test sets to a result that has none yet."""
        result = self.result(run)
        if "against" not in result["scores"]:
            tests = score_run.compare(self.workspace, run, baseline)
            result["scores"]["against"] = {"run": baseline.name, "test": tests}
            self._write(run, result)

    def _json(self, run: Run) -> Path:
        return self.results / f"{run.name}.json"

    def _write(self, run: Run, result: dict[str, Any]) -> None:
        with replacing(self._json(run)) as file:
            json.dump(result, file, indent=1, ensure_ascii=False)
            file.write("\n")

    def _describe(
        self, run: Run, place: Place, points: list[dict[str, Any]], scores: dict[str, Any]
    ) -> dict[str, Any]:
        log = "\n".join(read_lines(self.workspace.training_log(run)))
        settings = " ".join(f"{key}={value}" for key, value in train_run.settings(run, place).items())
        if run.start:
            settings = f"FROM={run.start} {settings}"
        pair = self.workspace.pair
        train = shlex.join(train_run.command(run, pair)).removeprefix(f"{ROOT}/")
        prepare = (
            "" if run.pairs == "all" else f"PAIRS={run.pairs} "
        ) + "examples/translation/prepare-multi30k.sh"
        return {
            "system": run.system,
            "seed": run.seed,
            "criterion": run.criterion,
            "alpha": float(run.alpha) if run.alpha else None,
            "pairs": run.pairs,
            "parameters": parameters(log),
            "command": [f"{prepare} {pair}", f"{settings} {train}"],
            "patience": run.patience,
            "commit": read_lines(train_run.commit_file(self.workspace, run))[0],
            **origin(PACKAGES, place),
            "best_update": best_point(points)["update"],
            "train_nll": best_point(points)["train_nll"],
            "curve": points,
            "scores": scores,
        }

    def _prune(self, run: Run) -> None:
        """Leaves the best checkpoint and, where they are still needed, those to be averaged."""
        folder = self.workspace.checkpoints(run)
        needed = {folder / "checkpoint_best.pt"}
        if not run.test or run.name in self.starts:
            needed |= set(folder.glob("checkpoint[0-9]*.pt"))
        for path in {*folder.glob("checkpoint*.pt")} - needed:
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
