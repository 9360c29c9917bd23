"""Trainings on SAMSum from scratch, by examples/summarization."""

import json
from pathlib import Path
from typing import Any

from experiments.corpus import Points, Result, Script
from experiments.runs import Run
from experiments.workspace import ROOT, Place, Workspace
from rdrop_tools.training.training_log import read_log

SUMMARIZATION = ROOT / "examples" / "summarization"


class SamSum:
    """The best checkpoint is that of the lowest loss on valid, which a training sees ten times."""

    vocab = 4000
    packages = ("torch", "ve-fairseq", "fairseq-fixed", "sentencepiece", "rouge-score")
    steps = None

    def data(self, run: Run) -> str:
        return "data-samsum"

    def prepare(self, run: Run) -> Script:
        settings = {"BPE": "sentencepiece", "VOCAB": str(self.vocab)}
        return Script(settings, [str(SUMMARIZATION / "prepare-samsum.sh")])

    def train(self, run: Run) -> Script:
        settings = self._system(run) | {"MAX_UPDATE": str(run.max_update)}
        if not run.start:  # else the rate is constant
            settings["WARMUP"] = str(run.max_update // 10)
        settings["SEED"] = str(run.seed)
        return Script(settings, [str(SUMMARIZATION / "train.sh"), *run.flags])

    def curve(self, out: Path, run: Run) -> tuple[Points, bool]:
        """A point has update, loss and NLL on valid."""
        log = out / "train.log"
        valid = read_log(log)["valid"] if log.exists() else {}
        updates = sorted(valid.get("loss", {}))
        return [{"update": u, "loss": valid["loss"][u], "nll": valid["nll_loss"][u]} for u in updates], False

    def is_trained(self, out: Path, run: Run) -> bool:
        return (out / "trained").exists()

    def best(self, points: Points) -> dict[str, Any]:
        return min(reversed(points), key=lambda point: float(point["loss"]))

    def train_nll(self, out: Path, points: Points) -> float:
        """Of the last epoch, dropout on."""
        train = read_log(out / "train.log")["train"]["nll_loss"]
        return train[max(train)]

    def evaluate(self, workspace: Workspace, run: Run, points: Points, place: Place) -> Result:
        """{"rouge": {split: what evaluate.sh has left}}"""
        rouge = {"val": self._rouge(workspace, run, "rouge-val", place, SPLIT="val")}
        if run.test:
            rouge["test"] = self._rouge(workspace, run, "rouge", place)
        return {"rouge": rouge}

    def is_tested(self, result: Result) -> bool:
        return "test" in result["rouge"]

    def compare(self, workspace: Workspace, run: Run, baseline: Run, result: Result) -> bool:
        if "difference" in result["rouge"]["test"]:
            return False
        against = {"BASELINE": str(workspace.out(baseline.name))}
        result["rouge"]["test"] = self._rouge(
            workspace, run, f"rouge-against-{baseline.name}", None, **against
        )
        return True

    def translations(self, workspace: Workspace, run: Run) -> dict[str, Path]:
        return {"test": workspace.out(run.name) / "test.hyp"}

    def _system(self, run: Run) -> dict[str, str]:
        """The settings that train.sh and evaluate.sh share."""
        system = {"CORPUS": "samsum", "MODEL": "transformer", "VOCAB": str(self.vocab)}
        return system | {"CRITERION": run.criterion} | ({"ALPHA": run.alpha} if run.alpha else {})

    def _rouge(
        self, workspace: Workspace, run: Run, name: str, place: Place | None, **settings: str
    ) -> dict[str, Any]:
        """The scores that evaluate.sh leaves under this name."""
        settings |= {"DATA": str(workspace.folder / self.data(run)), "OUT": str(workspace.out(run.name))}
        settings |= place.environment if place else {}
        command = [*(place.start if place else []), SUMMARIZATION / "evaluate.sh"]
        workspace.call(command, self._system(run) | settings, run.name)
        scores: dict[str, Any] = json.loads((workspace.out(run.name) / f"{name}.json").read_bytes())
        return scores
