"""Trainings on Multi30k, by examples/translation."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.corpus import Points, Result, Script
from experiments.runs import AVERAGES, Run
from experiments.workspace import ROOT, Place, Workspace
from rdrop_tools.training.training_log import read_log

TRANSLATION = ROOT / "examples" / "translation"
SCORE = ["-m", "rdrop_tools.scoring.score_translation"]
TESTS = {"test": "Flickr 2016", "test1": "Flickr 2017", "test2": "MSCOCO 2017"}

Scores = dict[str, dict[str, Any]]  # {metric: {score, signature[, baseline, p_value]}}


@dataclass(frozen=True)
class Multi30k:
    """pair: the languages, such as en-de. The best checkpoint is that of the highest BLEU on valid."""

    pair: str
    packages = ("torch", "ve-fairseq", "fairseq-fixed", "sacrebleu", "sacremoses", "subword-nmt")
    steps = ROOT / "results" / "benchmark" / "step-multi30k.csv"

    def data(self, run: Run) -> str:
        return f"data-{run.pairs}"

    def prepare(self, run: Run) -> Script:
        settings = {} if run.pairs == "all" else {"PAIRS": run.pairs}
        return Script(settings, [str(TRANSLATION / "prepare-multi30k.sh"), self.pair])

    def train(self, run: Run) -> Script:
        settings = {"CRITERION": run.criterion, "SEED": str(run.seed), "MAX_UPDATE": str(run.max_update)}
        settings |= {"ALPHA": run.alpha} if run.alpha else {}
        command = [str(TRANSLATION / "train.sh"), f"multi30k.{self.pair}", "--num-workers", "0", *run.flags]
        return Script(settings, command)

    def curve(self, out: Path, run: Run) -> tuple[Points, bool]:
        return curve(out / "train.log", run.patience)

    def is_trained(self, out: Path, run: Run) -> bool:
        points, out_of_patience = self.curve(out, run)
        return out_of_patience or bool(points and points[-1]["update"] >= run.max_update)

    def best(self, points: Points) -> dict[str, Any]:
        return best_point(points)

    def train_nll(self, out: Path, points: Points) -> float:
        """Of the best checkpoint's epoch."""
        return float(best_point(points)["train_nll"])

    def evaluate(self, workspace: Workspace, run: Run, points: Points, place: Place) -> Result:
        """{"scores": {"valid": {average: Scores}[, "average": run.test, "test": {test set: Scores}]}}"""

        def scores(subset: str, average: str) -> Scores:
            out = _evaluation(workspace, run, subset, average)
            if not (out / "scores.json").exists():
                settings = {"OUT": str(out), "AVERAGE": average, "SUBSET": subset} | place.environment
                settings["DATA"] = str(workspace.folder / self.data(run))
                translate = [*place.start, TRANSLATION / "evaluate.sh", workspace.out(run.name)]
                workspace.call(translate, settings, run.name)
            return self._score(workspace, run, subset, [out])

        found: Result = {
            "valid": {a: scores("valid", a) for a in AVERAGES if int(a.split(":")[1]) <= len(points)}
        }
        if run.test:
            test = {name: scores(subset, run.test) for subset, name in TESTS.items()}
            found |= {"average": run.test, "test": test}
        return {"scores": found}

    def is_tested(self, result: Result) -> bool:
        return "test" in result["scores"]

    def compare(self, workspace: Workspace, run: Run, baseline: Run, result: Result) -> bool:
        if "against" in result["scores"]:
            return False
        test = {
            name: self._score(
                workspace, run, subset, [_evaluation(workspace, r, subset, r.test) for r in (run, baseline)]
            )
            for subset, name in TESTS.items()
        }
        result["scores"]["against"] = {"run": baseline.name, "test": test}
        return True

    def translations(self, workspace: Workspace, run: Run) -> dict[str, Path]:
        return {
            subset: _evaluation(workspace, run, subset, run.test) / "system" / "hyp.txt" for subset in TESTS
        }

    def _score(self, workspace: Workspace, run: Run, subset: str, systems: list[Path]) -> Scores:
        """The scores of what evaluate.sh left in these folders, a system's and perhaps a baseline's.

        Detokenised scores, and tokenised BLEU of lowercased text: how text-only figures are published.
        """
        corpus, target = workspace.folder / self.data(run) / "corpus", self.pair.split("-")[1]
        out = systems[0] / "again.json"
        (hyp, hyp_tok), *baselines = [
            [f / "system" / name for name in ("hyp.txt", "hyp.tok")] for f in systems
        ]
        references = [corpus / kind / f"{subset}.{target}" for kind in ("raw", "tok")]
        command = [sys.executable, *SCORE, "--hyp", hyp, "--hyp-tok", hyp_tok, "--json", out]
        command += ["--ref", references[0], "--ref-tok", references[1]]
        for baseline in baselines:
            command += ["--baseline", *baseline]
        scores: Scores = {}
        for lowercase in ([], ["--lowercase"]):
            workspace.call([*command, *lowercase], {}, run.name)
            for score in json.loads(out.read_bytes())["scores"]:
                name = score.pop("name")
                if name.startswith("BLEU, tokenised") == bool(lowercase):
                    name += ", lowercased" if lowercase else ""
                    scores[name] = {key: value for key, value in score.items() if value is not None}
        return scores


def _evaluation(workspace: Workspace, run: Run, subset: str, average: str) -> Path:
    return workspace.out(run.name) / f"evaluation.{subset}.{average.replace(':', '-')}"


def curve(log: Path, patience: int | None) -> tuple[Points, bool]:
    """What the ends of the epochs tell, and whether the training is at its end by ``patience``.

    A point has update, BLEU and NLL (bits per token) on valid, and of the epoch's training, dropout on, NLL,
    seconds and, with R-Drop, the KL. The curve ends where patience does, should the log go on.
    """
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
        elif patience and update - improved >= patience:
            return points, True
    return points, False


def best_point(points: Points) -> dict[str, Any]:
    """The point of the highest BLEU; the last of equals, which is fairseq's checkpoint_best.pt."""
    return max(reversed(points), key=lambda point: point["bleu"])
