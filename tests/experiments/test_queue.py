"""experiments/run_queue.py on a small Multi30k and a tiny model."""

import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from bad_input import assert_one_line, call_here
from conftest import a_core, kill_when
from translation_data import MULTI30K_SETTINGS, TINY, environment, write_multi30k

from experiments import multi30k, run_queue
from experiments.experiment import LEADER, Experiment, corpus_of
from experiments.runs import COLUMNS, read_runs
from experiments.training_time import EVERY_2ND, STEPS, seconds_per_update
from experiments.workspace import Place
from rdrop_tools.cli import InputError

pytest.importorskip("fairseq")

# For time with one test set, and one average on valid, for which only R-Drop has epochs enough.
QUEUE = """
from experiments import multi30k, run_queue
multi30k.TESTS, multi30k.AVERAGES = {"test": "Flickr 2016"}, ["last:9"]
run_queue.main()
"""
FLAGS = " ".join(TINY)
RDROP = f"multi30k.en-de,rdrop,1,rdrop,1,100,,40,1000,plain,{{test}},{FLAGS}"
PLAIN = f"multi30k.en-de,plain,1,plain,,100,,100,8,,{{test}},{FLAGS}"
FINISH = f"multi30k.en-de,finish,1,plain,,100,rdrop,4,1000,,no,{FLAGS}"
NEXT = f"multi30k.en-de,next,1,plain,,100,,100,8,,no,{FLAGS}"


def arguments(folder, *rows):
    """Of run_queue.py, for such a list in this folder."""
    (folder / "results").mkdir(exist_ok=True)
    (folder / "runs.csv").write_text("".join(f"{line}\n" for line in (",".join(COLUMNS), *rows)))
    return [str(folder / "runs.csv"), str(folder), "--results", str(folder / "results"), "--cores", a_core()]


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """The environment of the queues."""
    env = {**environment(), **MULTI30K_SETTINGS, "OUT": "/nowhere", "MAX_UPDATE": "3"}  # not for the queue
    env["NICE"] = "0"  # beside other tests it would wait for them
    env["LOCAL_FILES"] = str(write_multi30k(tmp_path_factory.mktemp("local")))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def folder(settings, tmp_path_factory):
    """That of three runs on the first 100 pairs, of which patience ends the plain one.

    One begins with another that comes later in the list. The queue is killed when it has begun the next run.
    By then it has compared the two.
    """
    folder = tmp_path_factory.mktemp("queue")
    rows = [FINISH, RDROP.format(test="best:1"), PLAIN.format(test="best:1")]
    listed = call_here("run_queue", *arguments(folder, *rows), "--dry-run").out
    assert "3 runs to do on 1 cores: finish-1, rdrop-1, plain-1" in listed
    assert not (folder / "runs").exists()
    kill_when(folder / "runs" / "next-1", sys.executable, "-c", QUEUE, *arguments(folder, *rows, NEXT))
    assert "against" in json.loads((folder / "results" / "rdrop-1.json").read_text())["scores"]
    again = call_here("run_queue", *arguments(folder, *rows)).out
    assert "0 runs to do" in again
    assert "training" not in again.replace("hours of training", "")
    return folder


@pytest.fixture(scope="module")
def finished(folder):
    """{name: result}"""
    return {path.stem: json.loads(path.read_text()) for path in (folder / "results").glob("*.json")}


def test_the_result_of_a_run(finished):
    result = finished["rdrop-1"]
    assert (result["system"], result["seed"], result["pairs"]) == ("rdrop", 1, "100")
    assert result["command"][0].startswith("PAIRS=100 examples/translation/prepare-multi30k.sh")
    settings = "CRITERION=rdrop SEED=1 MAX_UPDATE=40 ALPHA=1"
    assert result["command"][1].startswith(f"{settings} examples/translation/train.sh")
    assert result["curve"][-1]["update"] == 40
    assert result["curve"][-1]["train_kl"] > 0
    assert result["best_update"] == multi30k.best_point(result["curve"])["update"]
    scores = result["scores"]
    assert set(scores["valid"]) == {"last:9"}
    assert scores["average"] == "best:1"
    theirs, against = finished["plain-1"]["scores"], scores["against"]["test"]["Flickr 2016"]
    for name, score in against.items():
        assert score["score"] == pytest.approx(scores["test"]["Flickr 2016"][name]["score"])
        assert score["baseline"] == pytest.approx(theirs["test"]["Flickr 2016"][name]["score"])
        assert 0 <= score["p_value"] <= 1
    assert finished["plain-1"]["curve"][-1]["update"] < 100  # by its patience
    assert "case:lc" in scores["test"]["Flickr 2016"]["BLEU, tokenised, lowercased"]["signature"]
    assert "case:mixed" in scores["test"]["Flickr 2016"]["BLEU, sacreBLEU"]["signature"]


def test_what_was_scored_is_kept_and_its_scores_are_those_of_evaluate_sh(folder, finished):
    runs = folder / "runs"
    for name in ("rdrop-1", "plain-1"):
        evaluation = runs / name / "evaluation.test.best-1"
        kept = folder / "results" / "translations" / f"{name}.test.txt"
        assert kept.read_text() == (evaluation / "system" / "hyp.txt").read_text()
        scores = finished[name]["scores"]["test"]["Flickr 2016"]
        theirs = {
            each["name"]: each for each in json.loads((evaluation / "scores.json").read_text())["scores"]
        }
        for metric in ("BLEU, sacreBLEU", "chrF2, sacreBLEU", "TER, sacreBLEU"):
            assert scores[metric] == {key: theirs[metric][key] for key in ("score", "signature")}
    assert len(list((runs / "rdrop-1").glob("checkpoint[0-9]*.pt"))) == 10  # for finish-1
    assert not list((runs / "plain-1").glob("checkpoint[0-9]*.pt"))


def test_a_run_begins_with_the_end_of_another(finished):
    """Also where that one was scored on the test sets, after which only its best checkpoint was kept."""
    result = finished["finish-1"]
    assert result["command"][1].startswith("FROM=rdrop-1 CRITERION=plain SEED=1 MAX_UPDATE=4 examples/")
    assert [point["update"] for point in result["curve"]] == [4]
    assert result["curve"][0]["nll"] < finished["plain-1"]["curve"][0]["nll"] - 1
    assert result["scores"] == {"valid": {}}


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="this kernel has no autogroups")
def test_a_training_has_the_lowest_priority_among_all_sessions(monkeypatch):
    """nice orders the processes of one session, and a training is a session of its own."""
    monkeypatch.delenv("NICE", raising=False)
    leader = ["bash", "-c", LEADER, "training", "cat", "/proc/self/autogroup"]
    with subprocess.Popen(
        leader, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout.readline().endswith("nice 19\n")


def commands():
    """Of all processes."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it has ended
            yield path.read_bytes().decode(errors="replace")


def test_a_killed_queue_goes_on_elsewhere_and_gives_the_same_numbers(folder, finished, tmp_path, monkeypatch):
    """Killed without a word, the queue takes its training with it; started again, on a GPU too, it resumes.

    The GPU's way of working is tested with none. fairseq makes its batches anew when it resumes, in another
    order than the ones it has used so far: without --update-epoch-batch-itr in the recipe a run that was
    interrupted had other numbers. And killed after it had saved an epoch and before it logged its training,
    it had lost a point of the curve.
    """
    shutil.copytree(folder / "data-100", tmp_path / "data-100")
    words = arguments(tmp_path, RDROP.format(test="no").replace(",plain,no", ",,no"))
    out = tmp_path / "runs" / "rdrop-1"
    kill_when(out / "checkpoint2.pt", sys.executable, "-m", "experiments.run_queue", *words)
    while any(f"{tmp_path}/data-100" in command for command in commands()):
        time.sleep(0.2)  # for ever, should a training outlive its queue
    assert not (tmp_path / "results" / "rdrop-1.json").exists()
    log = out / "train.log"
    log.write_text(log.read_text().partition(" | INFO | train | epoch 002 ")[0])

    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "A GPU")
    monkeypatch.setattr(multi30k, "AVERAGES", [])  # for time
    (run,) = read_runs(tmp_path / "runs.csv")
    Experiment(corpus_of(run, tmp_path), tmp_path / "results").work(Place("cuda", "0", 2))
    result = json.loads((tmp_path / "results" / "rdrop-1.json").read_text())
    assert result["hardware"] == "A GPU, shared by 2 runs"
    assert "MAX_UPDATE=40 ALPHA=1 PRECISION=fp32 examples/" in result["command"][1]

    def without_times(result):
        return [{k: v for k, v in point.items() if k != "train_seconds"} for point in result["curve"]]

    assert without_times(result) == without_times(finished["rdrop-1"])
    ours, theirs = (
        torch.load(f / "runs/rdrop-1/checkpoint10.pt", weights_only=False)["model"]
        for f in (tmp_path, folder)
    )
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_places(monkeypatch):
    """A core to each run, or the GPUs in turn; a CPU's run does not see a GPU."""
    monkeypatch.delenv("NICE", raising=False)
    core = int(a_core())
    (place,) = run_queue.places_of("cpu", [core], None)
    assert place.start == ["taskset", "-c", a_core(), "nice", "-n", "19"]
    assert (place.settings, place.environment) == ({}, {"CUDA_VISIBLE_DEVICES": ""})
    assert len(run_queue.places_of("cpu", None, None)) == len(os.sched_getaffinity(0))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert run_queue.places_of("cuda", None, 3) == [Place("cuda", n, 2) for n in ("0", "1", "0")]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    (place,) = run_queue.places_of("cuda", None, None)
    assert (place.start, place.environment) == (["nice", "-n", "19"], {"CUDA_VISIBLE_DEVICES": "5"})
    for message, *words in (
        ("--jobs is for --device cuda", "cpu", None, 2),
        ("--cores is for --device cpu", "cuda", [core], None),
        ("--cores: 9999 is not one of", "cpu", [9999], None),
    ):
        with pytest.raises(InputError, match=message):
            run_queue.places_of(*words)


def test_a_lock_that_fails_is_named(tmp_path, monkeypatch):
    """Regression: "standard input or output: No locks available", on a file system without locks."""

    def fail(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(run_queue.fcntl, "flock", fail)
    with pytest.raises(InputError, match=f"cannot lock {tmp_path}/a.lock: No locks available"):
        run_queue.held(tmp_path / "a.lock").__enter__()


def test_a_task_waits_for_the_one_that_it_begins_with(tmp_path, capsys):
    """The first that is ready comes first; with a second place it waits while others run.

    Regression: a fault of our own ended one thread in silence, and the others went on.
    """
    done = []

    def work(name):
        def note(_):
            time.sleep(0.05)
            done.append(name)

        return note

    starts = {"finish": "plain", "finish again": "finish", "next": "done before"}
    tasks = {name: work(name) for name in ("finish again", "finish", "plain", "next")}
    for places in (1, 2):
        assert run_queue.work_off(tasks, [Place("cpu", "0")] * places, tmp_path, starts) == []
        assert [name for name in done if name != "next"] == ["plain", "finish", "finish again"]
        assert "next" in done
        done.clear()
    with run_queue.held(tmp_path / "plain.lock"):
        run_queue.work_off(tasks, [Place("cpu", "0")] * 2, tmp_path, starts)
    assert done == ["next"]
    assert capsys.readouterr().out.splitlines() == [
        "plain: another process is at it",
        "finish: left out, as it begins with plain",
        "finish again: left out, as it begins with finish",
    ]
    tasks["plain"] = lambda _: {}["update"]
    done.clear()
    assert run_queue.work_off(tasks, [Place("cpu", "0")], tmp_path, starts) == ["plain: KeyError('update')"]
    assert done == []
    assert "finish: left out, as it begins with plain" in capsys.readouterr().out


def test_a_run_cannot_begin_with_one_whose_checkpoints_are_gone(settings, tmp_path):
    words = arguments(tmp_path, PLAIN.format(test="no"), FINISH.replace("rdrop", "plain"))
    (tmp_path / "results" / "plain-1.json").write_text("{}")
    message = f"plain-1, which is done but has no checkpoint in {tmp_path}/runs/plain-1"
    assert_one_line(call_here("run_queue", *words), message)
    assert not (tmp_path / "runs").exists()


def test_the_hours_count_the_schedule_and_where_a_run_starts(tmp_path):
    """Regression: R-Drop in every 2nd update had the price of R-Drop in every one."""
    prices = seconds_per_update(STEPS)
    arguments(tmp_path, "multi30k.en-de,a,1,rdrop,1,all,,7200,9,,no,--rdrop-interval 2")
    (run,) = read_runs(tmp_path / "runs.csv")
    assert run_queue.core_hours([corpus_of(run, tmp_path)]) == pytest.approx(2 * prices[EVERY_2ND])
