"""experiments/run_queue.py on a small Multi30k, a small SAMSum and tiny models."""

import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from bad_input import assert_one_line, call_here
from conftest import kill_when
from small_corpora import write_samsum
from translation_data import MULTI30K_SETTINGS, TINY, environment, write_multi30k

from experiments import experiment, multi30k
from experiments.run_queue import core_hours
from experiments.runs import COLUMNS, read_runs
from experiments.samsum import SamSum
from experiments.training_time import EVERY_2ND, STEPS, seconds_per_update
from experiments.training_time import PLAIN as PLAIN_UPDATE
from experiments.workspace import Workspace
from rdrop_tools.cli import InputError

pytest.importorskip("fairseq")

FLAGS = " ".join(TINY)
RDROP = f"multi30k.en-de,rdrop,1,rdrop,1,100,,40,1000,{{}},{FLAGS}"
PLAIN = f"multi30k.en-de,plain,1,plain,,100,,100,8,,best:1,{FLAGS}"
FINISH = f"multi30k.en-de,finish,1,plain,,100,rdrop,4,1000,,no,{FLAGS}"
SUMMARIES = "samsum,summaries,1,rdrop,5,all,,4,,,best:1,"


def arguments(folder, *rows):
    """Of run_queue.py, for such a list in this folder, two runs at a time."""
    (folder / "results").mkdir(exist_ok=True)
    (folder / "runs.csv").write_text("".join(f"{line}\n" for line in (",".join(COLUMNS), *rows)))
    return [str(folder / "runs.csv"), str(folder), "--results", str(folder / "results"), "--jobs", "2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """That of a list that is done; patience has ended the run called plain.

    For time with one test set, and one average on valid, for which only R-Drop has epochs enough.
    """
    folder, local = tmp_path_factory.mktemp("queue"), write_samsum(tmp_path_factory.mktemp("local"))
    settings = environment() | MULTI30K_SETTINGS | {"LOCAL_FILES": str(write_multi30k(local))}
    settings["NICE"] = "0"  # beside other tests it would wait for them
    settings |= {"OUT": "/nowhere", "MAX_UPDATE": "3", "SPLIT": "train"}  # not for the queue
    words = arguments(folder, RDROP.format("plain,best:1"), PLAIN, FINISH, SUMMARIES)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        patch.setattr(multi30k, "TESTS", {"test": "Flickr 2016"})
        patch.setattr(multi30k, "AVERAGES", ["last:9"])
        patch.setattr(SamSum, "vocab", 90)
        listed = call_here("run_queue", *words, "--dry-run").out
        assert listed.startswith(
            "4 runs to do on cpu, 2 at a time: rdrop-1, plain-1, finish-1, summaries-1\n"
        )
        assert not (folder / "runs").exists()
        assert call_here("run_queue", *words).code == 0
        assert call_here("run_queue", *words).out.startswith("0 runs to do")
        yield folder


@pytest.fixture(scope="module")
def finished(folder):
    """{name: result}"""
    return {path.stem: json.loads(path.read_text()) for path in (folder / "results").glob("*.json")}


def test_a_run_on_multi30k(folder, finished):
    """Its scores are those of evaluate.sh, by the paired test too; another run begins with its end."""
    result, plain, finish = (finished[name] for name in ("rdrop-1", "plain-1", "finish-1"))
    assert result["command"] == [
        "OUT=data-100 PAIRS=100 examples/translation/prepare-multi30k.sh en-de",
        "DATA=data-100 OUT=runs/rdrop-1 CRITERION=rdrop SEED=1 MAX_UPDATE=40 ALPHA=1 PRECISION=fp32 "
        f"examples/translation/train.sh multi30k.en-de --num-workers 0 {FLAGS}",
    ]
    assert result["curve"][-1]["update"] == 40
    assert result["curve"][-1]["train_kl"] > 0
    assert result["best_update"] == multi30k.best_point(result["curve"])["update"]
    assert plain["curve"][-1]["update"] < 100  # by its patience
    assert set(result["scores"]["valid"]) == {"last:9"}
    against = result["scores"]["against"]["test"]["Flickr 2016"]
    scores, baseline = (each["scores"]["test"]["Flickr 2016"] for each in (result, plain))
    for name, score in against.items():
        assert score["score"] == pytest.approx(scores[name]["score"])
        assert score["baseline"] == pytest.approx(baseline[name]["score"])
        assert 0 <= score["p_value"] <= 1
    evaluation = folder / "runs" / "rdrop-1" / "evaluation.test.best-1"
    theirs = {each["name"]: each for each in json.loads((evaluation / "scores.json").read_text())["scores"]}
    assert "case:lc" in scores.pop("BLEU, tokenised, lowercased")["signature"]
    for name, score in scores.items():
        assert score == {key: theirs[name][key] for key in ("score", "signature")}
    kept = folder / "results" / "translations" / "rdrop-1.test.txt"
    assert kept.read_text() == (evaluation / "system" / "hyp.txt").read_text()
    assert " FROM=runs/rdrop-1 " in finish["command"][1]
    assert [point["update"] for point in finish["curve"]] == [4]
    assert finish["curve"][0]["nll"] < plain["curve"][0]["nll"] - 1
    assert finish["scores"] == {"valid": {}}


def test_a_run_on_samsum(folder, finished):
    """The translations of its baseline are the references."""
    result = finished["summaries-1"]
    assert result["command"] == [
        "OUT=data-samsum BPE=sentencepiece VOCAB=90 examples/summarization/prepare-samsum.sh",
        "DATA=data-samsum CORPUS=samsum MODEL=transformer VOCAB=90 OUT=runs/summaries-1 CRITERION=rdrop "
        "SEED=1 MAX_UPDATE=4 ALPHA=5 PRECISION=fp32 WARMUP=0 examples/summarization/train.sh",
    ]
    assert result["curve"][-1]["update"] == 4
    assert result["best_update"] == min(result["curve"], key=lambda point: point["loss"])["update"]
    assert result["parameters"] > 100_000
    assert result["rouge"].keys() == {"val", "test"}
    kept = folder / "results" / "translations" / "summaries-1.test.txt"
    assert kept.read_text() == (folder / "runs" / "summaries-1" / "test.hyp").read_text()
    (folder / "runs" / "baseline-1").mkdir()
    shutil.copy(folder / "data-samsum" / "raw" / "test.target", folder / "runs" / "baseline-1" / "test.hyp")
    training = SamSum(read_runs(folder / "runs.csv")[-1], folder, folder, "cpu")
    assert [training.compare("baseline-1", result) for _ in range(2)] == [True, False]
    assert result["rouge"]["test"]["baseline"]["rouge1"]["f"] == 100
    assert result["rouge"]["test"]["difference"]["rouge1"]["f"] < 0


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="this kernel has no autogroups")
def test_a_training_has_the_lowest_priority_among_all_sessions(tmp_path, monkeypatch):
    """nice orders the processes of one session, and a training is a session of its own."""
    monkeypatch.delenv("NICE", raising=False)
    Workspace(None, tmp_path, tmp_path, "cpu").call(["cat", "/proc/self/autogroup"], "priority")
    assert (tmp_path / "priority.log").read_text().endswith("nice 19\n")


def test_a_killed_queue_goes_on_and_gives_the_same_numbers(folder, finished, tmp_path):
    """Killed without a word, the queue takes its training with it; started again, it resumes.

    fairseq makes its batches anew when it resumes, in another order than the ones it has used so far: without
    --update-epoch-batch-itr in the recipe a run that was interrupted had other numbers. And killed after it
    had saved an epoch and before it logged its training, it had lost a point of the curve.
    """
    shutil.copytree(folder / "data-100", tmp_path / "data-100")
    words, out = arguments(tmp_path, RDROP.format(",no")), tmp_path / "runs" / "rdrop-1"
    kill_when(out / "checkpoint2.pt", sys.executable, "-m", "experiments.run_queue", *words)
    while f"{tmp_path}/data-100" in subprocess.check_output(["ps", "-eo", "args"], text=True):
        time.sleep(0.2)  # for ever, should a training outlive its queue
    assert not (tmp_path / "results" / "rdrop-1.json").exists()
    log = out / "train.log"
    log.write_text(log.read_text().partition(" | INFO | train | epoch 002 ")[0])
    assert call_here("run_queue", *words).code == 0
    result = json.loads((tmp_path / "results" / "rdrop-1.json").read_text())
    for point in (*result["curve"], *finished["rdrop-1"]["curve"]):
        del point["train_seconds"]
    assert result["curve"] == finished["rdrop-1"]["curve"]
    paths = (each / "runs" / "rdrop-1" / "checkpoint10.pt" for each in (tmp_path, folder))
    ours, theirs = (torch.load(path, weights_only=False)["model"] for path in paths)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_the_hours_count_the_schedule(tmp_path):
    """Regression: R-Drop in every 2nd update had the price of R-Drop in every one."""
    row = RDROP.replace(",40,", ",3600,")
    arguments(tmp_path, PLAIN.replace(",100,8,", ",3600,8,"), row.format(",no"), SUMMARIES)
    plain, rdrop, summaries = read_runs(tmp_path / "runs.csv")
    prices = seconds_per_update(STEPS)
    assert core_hours([plain, summaries]) == pytest.approx(prices[PLAIN_UPDATE])
    every_2nd = replace(rdrop, flags=("--rdrop-interval", "2"))
    assert core_hours([every_2nd]) == pytest.approx(prices[EVERY_2ND])
    assert core_hours([every_2nd]) < core_hours([rdrop])


def test_after_a_failure_no_other_run_begins(tmp_path, monkeypatch):
    """Neither the one that waits for it, nor the next in the list."""
    begun = []

    def fail(training):
        begun.append(training.run.name)
        raise InputError("no luck")

    monkeypatch.setattr(experiment, "work", fail)
    monkeypatch.setattr(Workspace, "call", lambda *_: None)
    words = arguments(tmp_path, PLAIN, FINISH.replace("rdrop", "plain"), RDROP.format(",no"))
    assert_one_line(call_here("run_queue", *words), "no luck")
    assert begun == ["plain-1"]
