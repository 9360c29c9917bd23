"""experiments/run_samsum.py on a small SAMSum."""

import json
import sys

import pytest
from conftest import a_core, run, scripts_environment
from small_corpora import write_samsum

from experiments.samsum_table import NOTHING, measured_gains, read_results, samsum_table

pytest.importorskip("fairseq")

RUN = [sys.executable, "-m", "experiments.run_samsum"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(its output, {name: result}, the same results as a table's) of plain training and two alphas."""
    folder, local = tmp_path_factory.mktemp("experiment"), tmp_path_factory.mktemp("local")
    (folder / "results").mkdir()
    env = {**scripts_environment(), "LOCAL_FILES": str(write_samsum(local)), "WORKERS": "1"}
    env |= {"MAX_TOKENS": "1", "SPLIT": "train"}  # not for the experiment
    options = ["--results", folder / "results", "--max-update", "4", "--vocab", "90", "--alphas", "5", "0"]
    options += ["--cores", a_core()]
    output = run(*RUN, folder, *options, **env).stdout
    assert run(*RUN, folder, *options, **env).stdout == output  # nothing that is done is done again
    results = read_results(folder / "results")
    assert sorted(path.stem for path in (folder / "results").iterdir()) == [
        "plain-4-1",
        "rdrop-a0-4-1",
        "rdrop-a5-4-1",
    ]
    return output, {f"{result['system']}-{result['seed']}": result for result in results}, results


def test_the_result_of_a_run(finished):
    _, results, _ = finished
    assert list(results) == ["plain-1", "rdrop-a0-1", "rdrop-a5-1"]
    result = results["rdrop-a5-1"]
    settings = "CORPUS=samsum MODEL=transformer VOCAB=90 CRITERION=rdrop ALPHA=5 MAX_UPDATE=4 WARMUP=0 SEED=1"
    assert result["command"] == [
        "BPE=sentencepiece VOCAB=90 examples/summarization/prepare-samsum.sh",
        f"{settings} examples/summarization/train.sh",
        f"{settings} examples/summarization/evaluate.sh",
    ]
    assert result["curve"][-1]["update"] == 4
    assert result["best_update"] == min(result["curve"], key=lambda point: point["loss"])["update"]
    assert result["parameters"] > 100_000
    assert result["rouge"]["val"]["signature"].startswith("rouge-score")
    assert results["plain-1"]["curve"] != result["curve"]


def test_the_better_alpha_on_valid_is_compared_on_the_test_set(finished):
    output, results, _ = finished
    rdrop = {name: result["rouge"] for name, result in results.items() if name != "plain-1"}
    best = max(rdrop, key=lambda name: rdrop[name]["val"]["system"]["rouge1"]["f"])
    assert f"{best.removesuffix('-1')} has the highest ROUGE-1 on valid" in output
    assert [name for name, result in results.items() if "test" in result["rouge"]] == sorted(
        ["plain-1", best]
    )
    test = rdrop[best]["test"]
    assert test["baseline"] == results["plain-1"]["rouge"]["test"]["system"]
    assert test["difference"].keys() == {"rouge1", "rouge2", "rougeL", "rougeLsum"}


def test_table(finished):
    *_, results = finished
    text = samsum_table(results)
    for result in results:
        assert f"| {result['system']} | 4 | {result['best_update']} | {result['train_nll']:.2f} |" in text
        assert f"| {result['rouge']['val']['system']['rougeLsum']['f']:.2f} |\n" in text
    (test,) = (r["rouge"]["test"] for r in results if "difference" in r["rouge"].get("test", {}))
    score, difference = test["system"]["rouge1"], test["difference"]["rouge1"]
    assert f" | {score['f']:.2f} [{score['f_95'][0]:.2f}, {score['f_95'][1]:.2f}] | " in text
    assert f"| difference | 4 | {difference['f']:+.2f} [" in text
    assert f"| p | 4 | {difference['p']:.3f} | " in text
    assert text.endswith(f"`{test['signature']}`")
    assert samsum_table([]) == NOTHING


def test_gains(finished):
    """Of what was scored on the test set only, beside the nll of plain training."""
    _, named, results = finished
    (rdrop,) = (r for r in results if "difference" in r["rouge"].get("test", {}))
    plain, rouge = named["plain-1"], rdrop["rouge"]["test"]["difference"]["rouge1"]
    (nll,) = (point["nll"] for point in plain["curve"] if point["update"] == plain["best_update"])
    gain = f"{rouge['f']:+.2f} ROUGE-1 on the test set (p = {rouge['p']:.3f})"
    data, train_nll = "SAMSum from scratch, after 4 updates", f"{plain['train_nll']:.2f}"
    assert measured_gains(results) == [(data, train_nll, f"{nll:.2f}", gain)]
    assert measured_gains([plain]) == []


def test_order_of_the_results(finished, tmp_path):
    """By length, then by alpha."""
    *_, (plain, *_, rdrop) = finished
    shorter = rdrop | {"curve": [point for point in rdrop["curve"] if point["update"] < 4]}
    for name, each in {"a": rdrop, "b": plain, "c": shorter}.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(each))
    assert read_results(tmp_path) == [shorter, plain, rdrop]


def test_bad_arguments(tmp_path):
    for arguments, message in (
        (["--alphas", "x"], "argument --alphas: must be a number of at least 0, got 'x'"),
        (["--results", "/nowhere"], "argument --results: /nowhere"),
    ):
        result = run(*RUN, tmp_path / "out", *arguments, check=False)
        assert result.returncode == 2
        assert message in result.stdout
        assert not (tmp_path / "out").exists()
