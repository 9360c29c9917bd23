"""What the queue asks of a corpus: how its trainings are prepared, trained, watched and scored."""

import shlex
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from experiments.runs import Run
from experiments.workspace import ROOT, Place, Workspace

Points = list[dict[str, Any]]  # the curve of a training, a point a validation
Result = dict[str, Any]  # the JSON of a run


class Script(NamedTuple):
    """A script of a recipe, with its settings, without the folders."""

    settings: dict[str, str]
    command: list[str]

    def __str__(self) -> str:
        words = [f"{key}={value}" for key, value in self.settings.items()]
        return " ".join([*words, shlex.join(self.command)]).replace(f"{ROOT}/", "")


class Corpus(Protocol):
    @property
    def packages(self) -> tuple[str, ...]:
        """Those whose versions a result names."""

    @property
    def steps(self) -> Path | None:
        """The benchmark of an update, where there is one."""

    def data(self, run: Run) -> str:
        """The name of the folder with its data."""

    def prepare(self, run: Run) -> Script: ...

    def train(self, run: Run) -> Script: ...

    def curve(self, out: Path, run: Run) -> tuple[Points, bool]:
        """The curve of the training in this folder, and whether it is at its end by its patience."""

    def is_trained(self, out: Path, run: Run) -> bool: ...

    def best(self, points: Points) -> dict[str, Any]:
        """The point of the checkpoint that is scored."""

    def train_nll(self, out: Path, points: Points) -> float: ...

    def evaluate(self, workspace: Workspace, run: Run, points: Points, place: Place) -> Result:
        """The scores on valid, and on the test sets where the list says so, as they stand in the JSON."""

    def is_tested(self, result: Result) -> bool: ...

    def compare(self, workspace: Workspace, run: Run, baseline: Run, result: Result) -> bool:
        """Adds the p-values of the test sets to a result that has none yet; whether it did."""

    def translations(self, workspace: Workspace, run: Run) -> dict[str, Path]:
        """{test set: what the system made of it}"""
