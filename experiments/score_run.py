"""A run's scores, by evaluate.sh: on valid as checkpoint and as averages, on test sets as runs.csv has it."""

import json
import sys
from pathlib import Path
from typing import Any

from experiments.runs import AVERAGES, Run
from experiments.workspace import TRANSLATION, Place, Workspace

SCORE = ["-m", "rdrop_tools.scoring.score_translation"]
TESTS = {"test": "Flickr 2016", "test1": "Flickr 2017", "test2": "MSCOCO 2017"}

Scores = dict[str, dict[str, Any]]  # {metric: {score, signature[, baseline, p_value]}}


def evaluate(workspace: Workspace, run: Run, epochs: int, place: Place) -> dict[str, Any]:
    """{"valid": {average: Scores}[, "average": run.test, "test": {test set: Scores}]}

    epochs: of the training, of which there has to be a checkpoint for each to be averaged.
    """

    def scores(subset: str, average: str) -> Scores:
        out = workspace.evaluation(run, subset, average)
        if not (out / "scores.json").exists():
            settings = {"OUT": str(out), "DATA": str(workspace.data(run)), "AVERAGE": average}
            settings |= place.environment
            translate = [*place.start, TRANSLATION / "evaluate.sh", workspace.checkpoints(run)]
            workspace.call(translate, settings | {"SUBSET": subset}, run.name)
        return _score(workspace, run, subset, [out])

    valid = {a: scores("valid", a) for a in AVERAGES if int(a.split(":")[1]) <= epochs}
    if not run.test:
        return {"valid": valid}
    test = {name: scores(subset, run.test) for subset, name in TESTS.items()}
    return {"valid": valid, "average": run.test, "test": test}


def compare(workspace: Workspace, run: Run, baseline: Run) -> dict[str, Scores]:
    """{test set: Scores with p-values}"""
    return {
        name: _score(
            workspace, run, subset, [workspace.evaluation(r, subset, r.test) for r in (run, baseline)]
        )
        for subset, name in TESTS.items()
    }


def _score(workspace: Workspace, run: Run, subset: str, systems: list[Path]) -> Scores:
    """The scores of the translations in these folders of evaluate.sh, a system's and, perhaps, a baseline's.

    Detokenised scores, and tokenised BLEU of lowercased text, which is how text-only figures are published.
    """
    corpus, target = workspace.data(run) / "corpus", workspace.pair.split("-")[1]
    out = systems[0] / "again.json"
    hypotheses = [[folder / "system" / name for name in ("hyp.txt", "hyp.tok")] for folder in systems]
    command = [
        sys.executable,
        *SCORE,
        "--hyp",
        hypotheses[0][0],
        "--hyp-tok",
        hypotheses[0][1],
        "--json",
        out,
    ]
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
