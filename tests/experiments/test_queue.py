"""experiments/run_queue.py on a small Multi30k and a tiny model."""

import contextlib
import errno
import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from conftest import a_core, kill_when, run
from translation_data import MULTI30K_SETTINGS, TINY, environment, write_multi30k

from experiments import run_queue, scheduler
from experiments.experiment import Experiment
from experiments.multi30k import best_point
from experiments.runs import COLUMNS, read_runs
from experiments.train_run import LEADER
from experiments.training_time import EVERY_2ND, STEPS, seconds_per_update
from experiments.workspace import Place, Workspace
from rdrop_tools.cli import InputError

pytest.importorskip("fairseq")

QUEUE = ("-m", "experiments.run_queue")
FLAGS = " ".join(TINY)


def write_list(path, *rows):
    path.write_text("".join(f"{line}\n" for line in (",".join(COLUMNS), *rows)))
    return path


@pytest.fixture(scope="module")
def queue(tmp_path_factory):
    """(arguments of subprocess, environment) of a queue in a folder of its own, for a list."""
    env = {**environment(), **MULTI30K_SETTINGS, "OUT": "/nowhere", "MAX_UPDATE": "3"}  # not for the queue
    env["NICE"] = "0"  # beside other tests it would wait for them
    env["LOCAL_FILES"] = str(write_multi30k(tmp_path_factory.mktemp("local")))

    def command(folder, *rows):
        results = folder / "results"
        results.mkdir(exist_ok=True)
        runs = write_list(folder / "runs.csv", *rows)
        return [sys.executable, *QUEUE, runs, folder, "--results", results, "--cores", a_core()]

    return command, env


RDROP = f"multi30k.en-de,rdrop,1,rdrop,1,100,,40,1000,plain,{{test}},{FLAGS}"
PLAIN = f"multi30k.en-de,plain,1,plain,,100,,100,8,,{{test}},{FLAGS}"
FINISH = f"multi30k.en-de,finish,1,plain,,100,rdrop,8,1000,,no,{FLAGS}"
NEXT = f"multi30k.en-de,next,1,plain,,100,,100,8,,no,{FLAGS}"


@pytest.fixture(scope="module")
def finished(queue, tmp_path_factory):
    """{name: result} of three runs on the first 100 pairs, of which patience ends the plain one.

    One begins with another that comes later in the list. The queue is killed when it has begun the next run.
    By then it has compared the two.
    """
    folder = tmp_path_factory.mktemp("queue")
    command, env = queue
    rows = [FINISH, RDROP.format(test="best:1"), PLAIN.format(test="best:1")]
    output = run(*command(folder, *rows), "--dry-run", **env).stdout
    assert "3 runs to do on 1 cores: finish-1, rdrop-1, plain-1" in output
    assert not (folder / "runs").exists()
    kill_when(folder / "runs" / "next-1", *command(folder, *rows, NEXT), **env)
    assert "against" in json.loads((folder / "results" / "rdrop-1.json").read_text())["scores"]
    again = run(*command(folder, *rows), **env).stdout
    assert "0 runs to do" in again
    assert "training" not in again.replace("hours of training", "")
    runs = folder / "runs"
    for name in ("rdrop-1", "plain-1"):  # what was scored is kept
        for subset in ("test", "test1", "test2"):
            kept = folder / "results" / "translations" / f"{name}.{subset}.txt"
            assert (
                kept.read_text()
                == (runs / name / f"evaluation.{subset}.best-1" / "system" / "hyp.txt").read_text()
            )
    assert len(list((runs / "rdrop-1").glob("checkpoint[0-9]*.pt"))) == 10  # finish-1 begins with them
    assert not list((runs / "plain-1").glob("checkpoint[0-9]*.pt"))
    return {path.stem: json.loads(path.read_text()) for path in (folder / "results").glob("*.json")}


def test_the_result_of_a_run(finished):
    result = finished["rdrop-1"]
    assert (result["system"], result["seed"], result["pairs"]) == ("rdrop", 1, "100")
    assert result["command"][0].startswith("PAIRS=100 examples/translation/prepare-multi30k.sh")
    assert result["command"][1].startswith(
        "CRITERION=rdrop SEED=1 MAX_UPDATE=40 ALPHA=1 examples/translation/train.sh"
    )
    assert result["curve"][-1]["update"] == 40
    assert result["curve"][-1]["train_kl"] > 0
    assert result["best_update"] == best_point(result["curve"])["update"]
    scores = result["scores"]
    assert set(scores["valid"]) == {"best:1", "last:5", "last:10"}
    assert scores["average"] == "best:1"
    assert set(scores["test"]) == {"Flickr 2016", "Flickr 2017", "MSCOCO 2017"}
    for name, score in scores["against"]["test"]["Flickr 2016"].items():
        assert score["score"] == pytest.approx(scores["test"]["Flickr 2016"][name]["score"])
        assert score["baseline"] == pytest.approx(
            finished["plain-1"]["scores"]["test"]["Flickr 2016"][name]["score"]
        )
        assert 0 <= score["p_value"] <= 1
    assert "case:lc" in scores["test"]["Flickr 2016"]["BLEU, tokenised, lowercased"]["signature"]
    assert "case:mixed" in scores["test"]["Flickr 2016"]["BLEU, sacreBLEU"]["signature"]


def test_a_run_begins_with_the_end_of_another(finished):
    """Also where that one was scored on the test sets, after which only its best checkpoint was kept."""
    result = finished["finish-1"]
    assert result["command"][1].startswith("FROM=rdrop-1 CRITERION=plain SEED=1 MAX_UPDATE=8 examples/")
    assert [point["update"] for point in result["curve"]] == [4, 8]
    assert result["curve"][0]["nll"] < finished["plain-1"]["curve"][0]["nll"] - 1


def test_patience_ends_a_run(finished):
    points = finished["plain-1"]["curve"]
    assert points[-1]["update"] < 100
    best = [p["update"] for p in points if p["bleu"] == max(q["bleu"] for q in points)]
    assert points[-1]["update"] - best[0] >= 8
    assert points[-2]["update"] - best[0] < 8


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="this kernel has no autogroups")
def test_a_training_has_the_lowest_priority_among_all_sessions():
    """nice orders the processes of one session, and a training is a session of its own."""
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


def test_a_killed_queue_goes_on_elsewhere_and_gives_the_same_numbers(queue, finished, tmp_path, monkeypatch):
    """Killed without a word, the queue takes its training with it; started again, on a GPU too, it resumes.

    The GPU's way of working is tested with none. fairseq makes its batches anew when it resumes, in another
    order than the ones it has used so far: without --update-epoch-batch-itr in the recipe a run that was
    interrupted had other numbers. And killed after it had saved an epoch and before it logged its training,
    it had lost a point of the curve.
    """
    command, env = queue
    arguments = command(tmp_path, RDROP.format(test="no").replace(",plain,no", ",,no"))
    kill_when(tmp_path / "runs" / "rdrop-1" / "checkpoint2.pt", *arguments, **env)
    while any(f"{tmp_path}/data-100" in command for command in commands()):
        time.sleep(0.2)  # for ever, should a training outlive its queue
    assert not (tmp_path / "results" / "rdrop-1.json").exists()
    log = tmp_path / "runs" / "rdrop-1" / "train.log"
    log.write_text(log.read_text().partition(" | INFO | train | epoch 002 ")[0])

    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "A GPU")
    (listed,) = read_runs(arguments[3])
    experiment = Experiment(Workspace(tmp_path), tmp_path / "results")
    tasks = {listed.name: partial(experiment.run, listed)}
    assert scheduler.work_off(tasks, [Place("cuda", "0", 2)], tmp_path) == []
    result = json.loads((tmp_path / "results" / "rdrop-1.json").read_text())
    assert result["hardware"] == "A GPU, shared by 2 runs"
    assert "MAX_UPDATE=40 ALPHA=1 PRECISION=fp32 examples/" in result["command"][1]

    def without_times(result):
        return [{k: v for k, v in point.items() if k != "train_seconds"} for point in result["curve"]]

    assert without_times(result) == without_times(finished["rdrop-1"])
    assert result["scores"]["valid"] == finished["rdrop-1"]["scores"]["valid"]


def test_places(monkeypatch):
    """A core to each run, or the GPUs in turn; a CPU's run does not see a GPU."""
    core = int(a_core())
    (place,) = scheduler.places_of("cpu", [core], None)
    assert place.start == ["taskset", "-c", a_core(), "nice", "-n", "19"]
    assert (place.settings, place.environment) == ({}, {"CUDA_VISIBLE_DEVICES": ""})
    assert len(scheduler.places_of("cpu", None, None)) == len(os.sched_getaffinity(0))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert scheduler.places_of("cuda", None, 3) == [Place("cuda", n, 2) for n in ("0", "1", "0")]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    (place,) = scheduler.places_of("cuda", None, None)
    assert (place.start, place.environment) == (["nice", "-n", "19"], {"CUDA_VISIBLE_DEVICES": "5"})
    with pytest.raises(InputError, match="--jobs is for --device cuda"):
        scheduler.places_of("cpu", None, 2)
    with pytest.raises(InputError, match="--cores is for --device cpu"):
        scheduler.places_of("cuda", [core], None)
    with pytest.raises(InputError, match="--cores: 9999 is not one of"):
        scheduler.places_of("cpu", [9999], None)


def test_a_lock_that_fails_is_named(tmp_path, monkeypatch):
    """Regression: "standard input or output: No locks available", on a file system without locks."""

    def fail(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(scheduler.fcntl, "flock", fail)
    with pytest.raises(InputError, match=f"cannot lock {tmp_path}/a.lock: No locks available"):
        scheduler.held(tmp_path / "a.lock").__enter__()


def test_a_failure_of_any_kind_ends_the_list(tmp_path):
    """Regression: a fault of our own ended one thread in silence, and the others went on."""
    done = []
    tasks = {"good": done.append, "bad": lambda _: {}["update"], "next": done.append}
    assert scheduler.work_off(tasks, [Place("cpu", "0")], tmp_path) == ["bad: KeyError('update')"]
    assert done == [Place("cpu", "0")]


def test_a_task_waits_for_the_one_that_it_begins_with(tmp_path, capsys):
    """The first that is ready comes first; with a second place it waits while others run."""
    done = []

    def work(name):
        def note(_):
            time.sleep(0.05)
            done.append(name)

        return note

    starts = {"finish": "plain", "finish again": "finish", "next": "done before"}
    tasks = {name: work(name) for name in ("finish again", "finish", "plain", "next")}
    for places in (1, 2):
        assert scheduler.work_off(tasks, [Place("cpu", "0")] * places, tmp_path, starts) == []
        assert [name for name in done if name != "next"] == ["plain", "finish", "finish again"]
        assert "next" in done
        done.clear()
    with scheduler.held(tmp_path / "plain.lock"):
        scheduler.work_off(tasks, [Place("cpu", "0")] * 2, tmp_path, starts)
    assert done == ["next"]
    assert capsys.readouterr().out.splitlines() == [
        "plain: another process is at it",
        "finish: left out, as it begins with plain",
        "finish again: left out, as it begins with finish",
    ]
    tasks["plain"] = lambda _: {}["update"]
    assert scheduler.work_off(tasks, [Place("cpu", "0")], tmp_path, starts) == ["plain: KeyError('update')"]
    assert "finish: left out, as it begins with plain" in capsys.readouterr().out


def test_a_run_cannot_begin_with_one_whose_checkpoints_are_gone(queue, tmp_path):
    command, env = queue
    arguments = command(tmp_path, PLAIN.format(test="no"), FINISH.replace("rdrop", "plain"))
    (tmp_path / "results" / "plain-1.json").write_text("{}")
    result = run(*arguments, check=False, **env)
    assert result.returncode == 1
    assert f"plain-1, which is done but has no checkpoint in {tmp_path}/runs/plain-1" in result.stdout
    assert not (tmp_path / "runs").exists()


def test_the_hours_count_the_schedule_and_where_a_run_starts(tmp_path):
    """Regression: R-Drop in every 2nd update had the price of R-Drop in every one."""
    prices = seconds_per_update(STEPS)
    path = write_list(tmp_path / "runs.csv", "multi30k.en-de,a,1,rdrop,1,all,,7200,9,,no,--rdrop-interval 2")
    hours = run_queue.core_hours(read_runs(path), Workspace(tmp_path))
    assert hours == pytest.approx(2 * prices[EVERY_2ND])
