"""scripts/score_rouge.py against the rouge-score library."""

import json
import sys

import numpy as np
import pytest
from test_scripts import SCRIPTS, script

pytest.importorskip("rouge_score")
from rouge_score import rouge_scorer

sys.path.insert(0, str(SCRIPTS))
from score_rouge import METRICS, bootstrap

REFERENCES = [
    "Anna walks the dog. Bob stays at home.",
    "The meeting was moved to Friday! Nobody objected.",
    "Zoë bakes cakes for 12 children.",
    "They agree.",
]
SYSTEM = [
    "Bob stays home. Anna is walking her dogs.",
    "",
    "Zoë baked a cake for the children.",
    "They agree.",
]
BASELINE = ["Bob.", "Friday.", "A cake. For children.", "They disagree, or agree?"]


def write(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def score(folder, *options, reference=REFERENCES, system=SYSTEM, check=True):
    files = write(folder / "reference", reference), write(folder / "system", system)
    result = script("score_rouge.py", *files, "--json", folder / "rouge.json", *options, check=check)
    return json.loads((folder / "rouge.json").read_text()) if check else result


@pytest.mark.parametrize("stemmer", [True, False])
@pytest.mark.parametrize("sentences", ["punctuation", "none"])
def test_equals_rouge_score(tmp_path, stemmer, sentences):
    options = ["--sentences", sentences, *([] if stemmer else ["--no-stemmer"])]
    ours = score(tmp_path, *options)["system"]
    theirs = rouge_scorer.RougeScorer(list(METRICS), use_stemmer=stemmer)
    if sentences == "punctuation":  # what the caller of rouge-score has to do for ROUGE-Lsum
        lines = [[t.replace(". ", ".\n").replace("! ", "!\n") for t in x] for x in (REFERENCES, SYSTEM)]
    else:
        lines = [REFERENCES, SYSTEM]
    scores = [theirs.score(reference, system) for reference, system in zip(*lines, strict=True)]
    for metric in METRICS:
        for name, key in (("precision", "precision"), ("recall", "recall"), ("f", "fmeasure")):
            expected = 100 * np.mean([getattr(s[metric], key) for s in scores])
            assert ours[metric][name] == pytest.approx(expected, abs=0.0051), (metric, name)


def test_equals_rouge_scores_own_command(tmp_path):
    """The F of ``python -m rouge_score.rouge``, whose files have one text per line too."""
    from rouge_score import io, scoring

    ours = score(tmp_path, "--sentences", "none")["system"]
    io.compute_scores_and_write_to_csv(
        str(tmp_path / "reference"),
        str(tmp_path / "system"),
        str(tmp_path / "out.csv"),
        rouge_scorer.RougeScorer(list(METRICS), use_stemmer=True),
        scoring.BootstrapAggregator(),
    )
    rows = [line.split(",") for line in (tmp_path / "out.csv").read_text().splitlines()[1:]]
    theirs = {name: float(mid) for name, _, mid, _ in rows}  # the bootstrap's median, not the mean
    for metric in METRICS:
        low, high = ours[metric]["f_95"]
        assert low <= 100 * theirs[f"{metric}-F"] <= high


def test_intervals_and_comparison(tmp_path):
    result = score(tmp_path, "--baseline", write(tmp_path / "baseline", BASELINE), "--seed", "3")
    assert result["signature"].startswith("rouge-score 0.1")
    assert result["signature"].endswith("|stem:yes|sentences:punctuation|n:4|bootstrap:1000|seed:3")
    for metric in METRICS:
        system, baseline, difference = (result[name][metric] for name in ("system", "baseline", "difference"))
        assert system["f_95"][0] <= system["f"] <= system["f_95"][1]
        assert difference["f"] == pytest.approx(system["f"] - baseline["f"], abs=0.011)
        assert difference["f_95"][0] <= difference["f"] <= difference["f_95"][1]
        assert 0 < difference["p"] <= 1
    again = score(tmp_path, "--baseline", tmp_path / "baseline", "--seed", "3")
    assert again == result
    same = score(tmp_path, "--baseline", tmp_path / "system")["difference"]["rouge1"]
    assert same == {"f": 0.0, "f_95": [0.0, 0.0], "p": 1.0}


def test_the_interval_is_as_wide_as_the_standard_error_says():
    values = np.random.default_rng(0).normal(30, 10, size=(400, 1))
    means = bootstrap(values, 2000, seed=1)
    assert means.std() == pytest.approx(values.std() / 20, rel=0.1)
    assert means.mean() == pytest.approx(values.mean(), abs=0.1)


def test_an_empty_hypothesis_scores_0(tmp_path):
    result = score(tmp_path, reference=["A dog.", "A cat."], system=["A dog.", ""])["system"]
    assert result["empty"] == 1
    assert [result[metric]["f"] for metric in METRICS] == [50.0] * 4
    assert score(tmp_path, reference=["A dog."], system=[""])["system"]["rougeLsum"]["f"] == 0


def test_bad_files_end_with_one_line(tmp_path):
    def fails_with(message, **change):
        result = score(tmp_path, check=False, **change)
        assert result.returncode == 1
        assert result.stdout.startswith("error: ")
        assert result.stdout.count("\n") == 1, result.stdout
        assert message in result.stdout

    fails_with("reference has an empty reference in line 2", reference=["one", " ", "three", "four"])
    fails_with("system has 3 lines, ", system=SYSTEM[:3])
    fails_with("reference is empty", reference=[], system=[])
    (tmp_path / "bytes").write_bytes(b"one\ntwo\nthr\xe9e\nfour\n")
    result = script("score_rouge.py", tmp_path / "bytes", tmp_path / "bytes", check=False)
    assert result.stdout == f"error: {tmp_path / 'bytes'} is not UTF-8 at byte 11, line 3\n"
    result = script("score_rouge.py", tmp_path / "none", tmp_path / "none", check=False)
    assert result.stdout == f"error: cannot read {tmp_path / 'none'}: No such file or directory\n"
    result = script("score_rouge.py", tmp_path / "bytes", tmp_path / "bytes", "--resamples", "0", check=False)
    assert result.stdout == "error: --resamples must be at least 1, got 0\n"
