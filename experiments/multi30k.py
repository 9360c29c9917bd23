"""Trainings on Multi30k, by examples/translation."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from experiments.runs import AVERAGES
from experiments.workspace import ROOT, Points, Result, Workspace
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

    best = staticmethod(best_point)

    @property
    def data(self) -> Path:
        return self.folder / f"data-{self.run.pairs}"

    def prepare(self) -> list[str]:
        pairs = [] if self.run.pairs == "all" else [f"PAIRS={self.run.pairs}"]
        return [f"OUT={self.data}", *pairs, str(TRANSLATION / "prepare-multi30k.sh"), "en-de"]

    def train(self) -> list[str]:
        script = [str(TRANSLATION / "train.sh"), self.run.corpus, "--num-workers", "0"]
        return [f"DATA={self.data}", *self.training, *script, *self.run.flags]

    def curve(self) -> tuple[Points, bool]:
        """What the ends of the epochs tell, and whether the training is at an end, by updates or patience.

        A point has update, BLEU and NLL (bits per token) on valid, and of the epoch's training, dropout on,
        NLL, seconds and, with R-Drop, the KL. The curve ends where patience does, should the log go on.
        fairseq's --patience counts anew in a resumed run, which would go on longer than one not interrupted.
        """
        run, log = self.run, self.out / "train.log"
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
            if update >= run.max_update or update - improved >= (run.patience or run.max_update):
                return points, True
        return points, False

    def train_nll(self, points: Points) -> float:
        """Of the best checkpoint's epoch."""
        return float(best_point(points)["train_nll"])

    def evaluate(self, points: Points) -> Result:
        """{"scores": {"valid": {average: Scores}[, "average": run.test, "test": {test set: Scores}]}}"""
        averages = [average for average in AVERAGES if int(average.split(":")[1]) <= len(points)]
        found: Result = {"valid": {average: self._evaluate("valid", average) for average in averages}}
        if self.run.test:
            test = {name: self._evaluate(subset, self.run.test) for subset, name in TESTS.items()}
            found |= {"average": self.run.test, "test": test}
        return {"scores": found}

    def compare(self, baseline: str, result: Result) -> bool:
        """Adds the p-values of the test sets to a result that has none yet; whether it did."""
        if "against" in result["scores"]:
            return False
        run = self.run
        test = {TESTS[each]: self._score(each, run.test, run.name, baseline) for each in TESTS}
        result["scores"]["against"] = {"run": baseline, "test": test}
        return True

    def translations(self) -> dict[str, Path]:
        """{test set: what was made of it}"""
        folders = {subset: self._evaluation(self.run.name, subset, self.run.test) for subset in TESTS}
        return {subset: folder / "system" / "hyp.txt" for subset, folder in folders.items()}

    def _evaluation(self, name: str, subset: str, average: str) -> Path:
        return self.folder / "runs" / name / f"evaluation.{subset}.{average.replace(':', '-')}"

    def _evaluate(self, subset: str, average: str) -> Scores:
        out = self._evaluation(self.run.name, subset, average)
        if not (out / "scores.json").exists():
            settings = [f"DATA={self.data}", f"OUT={out}", f"AVERAGE={average}", f"SUBSET={subset}"]
            self.call([*settings, str(TRANSLATION / "evaluate.sh"), str(self.out)], self.run.name)
        return self._score(subset, average, self.run.name)

    def _score(self, subset: str, average: str, *runs: str) -> Scores:
        """The scores of what evaluate.sh left of these, a run and perhaps its baseline.

        Detokenised scores, and tokenised BLEU of lowercased text: how text-only figures are published.
        """
        plain = {"BLEU, sacreBLEU": BLEU(), "chrF2, sacreBLEU": CHRF(), "TER, sacreBLEU": TER()}
        multi_bleu = BLEU(lowercase=True, tokenize="none", smooth_method="none", force=True)
        tokenised = {"BLEU, tokenised, lowercased": multi_bleu}
        systems = [self._evaluation(name, subset, average) / "system" for name in runs]
        found: Scores = {}
        for kind, output, metrics in (("raw", "hyp.txt", plain), ("tok", "hyp.tok", tokenised)):
            reference = self.data / "corpus" / kind / f"{subset}.de"
            lines, *outputs = read_columns(reference, *(system / output for system in systems))
            for score in compute([("", each) for each in outputs], [lines], metrics, SAMPLES):
                values = asdict(score).items()
                found[score.name] = {k: v for k, v in values if k != "name" and v is not None}
        return found
