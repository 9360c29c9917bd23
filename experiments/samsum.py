"""Trainings on SAMSum from scratch, by examples/summarization."""

import json
from pathlib import Path
from typing import Any

from experiments.workspace import ROOT, Points, Result, Workspace
from rdrop_tools.training.training_log import read_log

SUMMARIZATION = ROOT / "examples" / "summarization"


class SamSum(Workspace):
    """The best checkpoint is that of the lowest loss on valid, which a training sees ten times."""

    vocab = 4000

    @property
    def data(self) -> Path:
        return self.folder / "data-samsum"

    def prepare(self) -> list[str]:
        settings = [f"OUT={self.data}", "BPE=sentencepiece", f"VOCAB={self.vocab}"]
        return [*settings, str(SUMMARIZATION / "prepare-samsum.sh")]

    def train(self) -> list[str]:
        settings = [*self._system(), *self.training]
        if not self.run.start:  # else the rate is constant
            settings.append(f"WARMUP={self.run.max_update // 10}")
        return [*settings, str(SUMMARIZATION / "train.sh"), *self.run.flags]

    def curve(self) -> tuple[Points, bool]:
        """A point has update, loss and NLL on valid; and whether the training has ended."""
        log = self.out / "train.log"
        valid = read_log(log)["valid"] if log.exists() else {}
        updates = sorted(valid.get("loss", {}))
        points = [{"update": u, "loss": valid["loss"][u], "nll": valid["nll_loss"][u]} for u in updates]
        return points, (self.out / "trained").exists()

    def best(self, points: Points) -> dict[str, Any]:
        return min(reversed(points), key=lambda point: float(point["loss"]))

    def train_nll(self, points: Points) -> float:
        """Of the last epoch, dropout on."""
        train = read_log(self.out / "train.log")["train"]["nll_loss"]
        return train[max(train)]

    def evaluate(self, points: Points) -> Result:
        """{"rouge": {split: what evaluate.sh has left}}"""
        rouge = {"val": self._rouge("rouge-val", "SPLIT=val")}
        if self.run.test:
            rouge["test"] = self._rouge("rouge")
        return {"rouge": rouge}

    def compare(self, baseline: str, result: Result) -> bool:
        """Adds the p-values of the test set to a result that has none yet; whether it did."""
        if "difference" in result["rouge"]["test"]:
            return False
        against = self.folder / "runs" / baseline
        result["rouge"]["test"] = self._rouge(f"rouge-against-{baseline}", f"BASELINE={against}")
        return True

    def translations(self) -> dict[str, Path]:
        return {"test": self.out / "test.hyp"}

    def _system(self) -> list[str]:
        """The settings that train.sh and evaluate.sh share."""
        return [f"DATA={self.data}", "CORPUS=samsum", "MODEL=transformer", f"VOCAB={self.vocab}"]

    def _rouge(self, name: str, *settings: str) -> dict[str, Any]:
        """The scores that evaluate.sh leaves under this name."""
        settings = (*self._system(), f"CRITERION={self.run.criterion}", f"OUT={self.out}", *settings)
        self.call([*settings, str(SUMMARIZATION / "evaluate.sh")], self.run.name)
        return dict(json.loads((self.out / f"{name}.json").read_bytes()))
