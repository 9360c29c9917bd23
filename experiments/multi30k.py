"""Trainings on Multi30k, by examples/translation."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from experiments.runs import AVERAGES, Run
from experiments.workspace import ROOT, Place, Points, Result, Script, Workspace
from rdrop_tools.lines import read_columns
from rdrop_tools.scoring.score_translation import compute
from rdrop_tools.training.training_log import read_log

TRANSLATION = ROOT / "examples" / "translation"
TESTS = {"test": "Flickr 2016", "test1": "Flickr 2017", "test2": "MSCOCO 2017"}
SAMPLES = 1000  # of the bootstrap

Scores = dict[str, dict[str, Any]]  # {metric: {score, signature[, baseline, p_value]}}


def best_point(points: Points) -> dict[str, Any]:
    """The point of the highest BLEU; the last of equals, which is fairseq's checkpoint_best.pt."""
    return max(reversed(points), key=lambda point: point["bleu"])


class Multi30k(Workspace):
    """The best checkpoint is that of the highest BLEU on valid."""

    packages = ("torch", "ve-fairseq", "fairseq-fixed", "sacrebleu", "sacremoses", "subword-nmt")
    steps = ROOT / "results" / "benchmark" / "step-multi30k.csv"  # the benchmark of an update
    best = staticmethod(best_point)

    @property
    def data(self) -> str:
        return f"data-{self.run.pairs}"

    def prepare(self) -> Script:
        settings = {} if self.run.pairs == "all" else {"PAIRS": self.run.pairs}
        return Script(settings, [str(TRANSLATION / "prepare-multi30k.sh"), "en-de"])

    def train(self) -> Script:
        run = self.run
        settings = {"CRITERION": run.criterion, "SEED": str(run.seed), "MAX_UPDATE": str(run.max_update)}
        settings |= {"ALPHA": run.alpha} if run.alpha else {}
        command = [str(TRANSLATION / "train.sh"), run.corpus, "--num-workers", "0", *run.flags]
        return Script(settings, command)

    def curve(self) -> tuple[Points, bool]:
        """What the ends of the epochs tell, and whether the training is at its end by its patience.

        A point has update, BLEU and NLL (bits per token) on valid, and of the epoch's training, dropout on,
        NLL, seconds and, with R-Drop, the KL. The curve ends where patience does, should the log go on.
        """
        log = self.out / "train.log"
        if not log.exists():
            return [], False
        records = read_log(log)
        valid, train = records["valid"], records["train"]
        points: Points = []
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
            elif self.run.patience and update - improved >= self.run.patience:
                return points, True
        return points, False

    def is_trained(self) -> bool:
        points, out_of_patience = self.curve()
        return out_of_patience or bool(points and points[-1]["update"] >= self.run.max_update)

    def train_nll(self, points: Points) -> float:
        """Of the best checkpoint's epoch."""
        return float(best_point(points)["train_nll"])

    def evaluate(self, points: Points, place: Place) -> Result:
        """{"scores": {"valid": {average: Scores}[, "average": run.test, "test": {test set: Scores}]}}"""

        def scores(subset: str, average: str) -> Scores:
            out = self._evaluation(subset, average)
            if not (out / "scores.json").exists():
                settings = {"OUT": str(out), "AVERAGE": average, "SUBSET": subset}
                settings["DATA"] = str(self.folder / self.data)
                script = Script(settings, [str(TRANSLATION / "evaluate.sh"), str(self.out)])
                self.call(script, self.run.name, place)
            return self._score(subset, [out])

        averages = [average for average in AVERAGES if int(average.split(":")[1]) <= len(points)]
        found: Result = {"valid": {average: scores("valid", average) for average in averages}}
        if self.run.test:
            test = {name: scores(subset, self.run.test) for subset, name in TESTS.items()}
            found |= {"average": self.run.test, "test": test}
        return {"scores": found}

    def is_tested(self, result: Result) -> bool:
        return "test" in result["scores"]

    def compare(self, baseline: Run, result: Result) -> bool:
        """Adds the p-values of the test sets to a result that has none yet; whether it did."""
        if "against" in result["scores"]:
            return False
        both = self, replace(self, run=baseline)
        test = {
            name: self._score(subset, [each._evaluation(subset, each.run.test) for each in both])
            for subset, name in TESTS.items()
        }
        result["scores"]["against"] = {"run": baseline.name, "test": test}
        return True

    def translations(self) -> dict[str, Path]:
        return {each: self._evaluation(each, self.run.test) / "system" / "hyp.txt" for each in TESTS}

    def _evaluation(self, subset: str, average: str) -> Path:
        return self.out / f"evaluation.{subset}.{average.replace(':', '-')}"

    def _score(self, subset: str, systems: list[Path]) -> Scores:
        """The scores of what evaluate.sh left in these folders, a system's and perhaps a baseline's.

        Detokenised scores, and tokenised BLEU of lowercased text: how text-only figures are published.
        """
        multi_bleu = BLEU(lowercase=True, tokenize="none", smooth_method="none", force=True)
        plain = {"BLEU, sacreBLEU": BLEU(), "chrF2, sacreBLEU": CHRF(), "TER, sacreBLEU": TER()}
        found = []
        for kind, output, metrics in (
            ("raw", "hyp.txt", plain),
            ("tok", "hyp.tok", {"BLEU, tokenised, lowercased": multi_bleu}),
        ):
            reference = self.folder / self.data / "corpus" / kind / f"{subset}.de"
            lines, *outputs = read_columns(reference, *(path / "system" / output for path in systems))
            found += compute([("", each) for each in outputs], [lines], metrics, SAMPLES)
        return {
            score.name: {k: v for k, v in asdict(score).items() if k != "name" and v is not None}
            for score in found
        }
