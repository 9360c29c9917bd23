"""Trainings on SAMSum from scratch, by examples/summarization."""

import json
from pathlib import Path
from typing import Any

from experiments.runs import Run
from experiments.workspace import ROOT, Place, Points, Result, Script, Workspace
from rdrop_tools.training.training_log import read_log

SUMMARIZATION = ROOT / "examples" / "summarization"


class SamSum(Workspace):
    """The best checkpoint is that of the lowest loss on valid, which a training sees ten times."""

    vocab = 4000
    packages = ("torch", "ve-fairseq", "fairseq-fixed", "sentencepiece", "rouge-score")
    steps = None  # no benchmark of an update
    data = "data-samsum"

    def prepare(self) -> Script:
        settings = {"BPE": "sentencepiece", "VOCAB": str(self.vocab)}
        return Script(settings, [str(SUMMARIZATION / "prepare-samsum.sh")])

    def train(self) -> Script:
        settings = self._system() | {"MAX_UPDATE": str(self.run.max_update)}
        if not self.run.start:  # else the rate is constant
            settings["WARMUP"] = str(self.run.max_update // 10)
        settings["SEED"] = str(self.run.seed)
        return Script(settings, [str(SUMMARIZATION / "train.sh"), *self.run.flags])

    def curve(self) -> tuple[Points, bool]:
        """A point has update, loss and NLL on valid. No patience ends a training."""
        log = self.out / "train.log"
        valid = read_log(log)["valid"] if log.exists() else {}
        updates = sorted(valid.get("loss", {}))
        return [{"update": u, "loss": valid["loss"][u], "nll": valid["nll_loss"][u]} for u in updates], False

    def is_trained(self) -> bool:
        return (self.out / "trained").exists()

    def best(self, points: Points) -> dict[str, Any]:
        return min(reversed(points), key=lambda point: float(point["loss"]))

    def train_nll(self, points: Points) -> float:
        """Of the last epoch, dropout on."""
        train = read_log(self.out / "train.log")["train"]["nll_loss"]
        return train[max(train)]

    def evaluate(self, points: Points, place: Place) -> Result:
        """{"rouge": {split: what evaluate.sh has left}}"""
        rouge = {"val": self._rouge("rouge-val", place, SPLIT="val")}
        if self.run.test:
            rouge["test"] = self._rouge("rouge", place)
        return {"rouge": rouge}

    def is_tested(self, result: Result) -> bool:
        return "test" in result["rouge"]

    def compare(self, baseline: Run, result: Result) -> bool:
        """Adds the p-values of the test set to a result that has none yet; whether it did."""
        if "difference" in result["rouge"]["test"]:
            return False
        against = str(self.folder / "runs" / baseline.name)
        result["rouge"]["test"] = self._rouge(f"rouge-against-{baseline.name}", None, BASELINE=against)
        return True

    def translations(self) -> dict[str, Path]:
        return {"test": self.out / "test.hyp"}

    def _system(self) -> dict[str, str]:
        """The settings that train.sh and evaluate.sh share."""
        run, system = self.run, {"CORPUS": "samsum", "MODEL": "transformer", "VOCAB": str(self.vocab)}
        return system | {"CRITERION": run.criterion} | ({"ALPHA": run.alpha} if run.alpha else {})

    def _rouge(self, name: str, place: Place | None, **settings: str) -> dict[str, Any]:
        """The scores that evaluate.sh leaves under this name."""
        settings |= {"DATA": str(self.folder / self.data), "OUT": str(self.out)}
        script = Script(self._system() | settings, [str(SUMMARIZATION / "evaluate.sh")])
        self.call(script, self.run.name, place)
        return dict(json.loads((self.out / f"{name}.json").read_bytes()))
