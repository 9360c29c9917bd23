"""A run's scores, by evaluate.sh: on valid as checkpoint and averages, on test sets as the best of these."""

import json
import sys
from pathlib import Path
from typing import Any

from scripts.experiments.runs import Run
from scripts.experiments.workspace import ROOT, TRANSLATION, Workspace, on_core

SCORE = ROOT / "scripts" / "scoring" / "score_translation.py"
TESTS = {"test": "Flickr 2016", "test1": "Flickr 2017", "test2": "MSCOCO 2017"}
AVERAGES = ("best:1", "last:5", "last:10")

Scores = dict[str, dict[str, Any]]  # {metric: {score, signature[, baseline, p_value]}}


def evaluate(workspace: Workspace, run: Run, epochs: int, core: int) -> dict[str, Any]:
    """{"average": the best on valid, "valid": {average: Scores}[, "test": {test set: Scores}]}

    epochs: of the training, of which there has to be a checkpoint for each to be averaged.
    """

    def scores(subset: str, average: str) -> Scores:
        out = workspace.evaluation(run, subset, average)
        if not (out / "scores.json").exists():
            settings = {"OUT": str(out), "DATA": str(workspace.data(run)), "AVERAGE": average}
            translate = [*on_core(core), TRANSLATION / "evaluate.sh", workspace.checkpoints(run)]
            workspace.call(translate, settings | {"SUBSET": subset}, run.name)
        return _score(workspace, run, subset, [out])

    valid = {a: scores("valid", a) for a in AVERAGES if int(a.split(":")[1]) <= epochs}
    best = max(valid, key=lambda average: valid[average]["BLEU, sacreBLEU"]["score"])
    result: dict[str, Any] = {"average": best, "valid": valid}
    if run.test:
        result["test"] = {name: scores(subset, best) for subset, name in TESTS.items()}
    return result


def compare(workspace: Workspace, averages: dict[Run, str]) -> dict[str, Scores]:
    """{test set: Scores with p-values} of the first of two runs against the second, averaged as given."""
    run = next(iter(averages))
    return {
        name: _score(
            workspace, run, subset, [workspace.evaluation(r, subset, a) for r, a in averages.items()]
        )
        for subset, name in TESTS.items()
    }


def _score(workspace: Workspace, run: Run, subset: str, systems: list[Path]) -> Scores:
    """Of the translations in these folders of evaluate.sh, a system's and, perhaps, a baseline's.

    Detokenised scores, and tokenised BLEU of lowercased text, which is how text-only figures are published.
    """
    corpus, target = workspace.data(run) / "corpus", workspace.pair.split("-")[1]
    out = systems[0] / "again.json"
    hypotheses = [[folder / "system" / name for name in ("hyp.txt", "hyp.tok")] for folder in systems]
    command = [sys.executable, SCORE, "--hyp", hypotheses[0][0], "--hyp-tok", hypotheses[0][1], "--json", out]
    command += [
        "--ref",
        corpus / "raw" / f"{subset}.{target}",
        "--ref-tok",
        corpus / "tok" / f"{subset}.{target}",
    ]
    for baseline in hypotheses[1:]:
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
