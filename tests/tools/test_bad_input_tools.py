"""Bad input to the scripts of training: a table, a row a kind. Types are in test_arguments.py."""

import math

import pytest
import torch
from bad_checkpoints import CUT, NO_CHECKPOINT, NO_MODEL, Runs, checkpoint_bytes, weights
from bad_input import assert_refused, call

pytest.importorskip("fairseq")

# ---- average_checkpoints.py


CHECKPOINTS = {  # content of checkpoint1.pt: message
    "cut": (CUT, NO_CHECKPOINT),
    "code": (checkpoint_bytes({"model": Runs()}), "it holds posix.system, which could run code"),
    "no model": (checkpoint_bytes({"args": None}), NO_MODEL),
    "model of text": (checkpoint_bytes({"model": {"w": "1, 2"}}), NO_MODEL),
    "shape": (
        checkpoint_bytes({"model": {"w": torch.ones(3)}}),
        "w is float32 [3] there, and float32 [2] here",
    ),
    "one more": (checkpoint_bytes(weights(v=torch.ones(1))), "v is float32 [1] there, and missing here"),
    "NaN": (checkpoint_bytes(weights(math.nan)), "w has NaN in one of checkpoint2.pt, checkpoint1.pt"),
}


@pytest.fixture
def run_folder(tmp_path):
    """run/checkpoint1.pt and so on, of which two are to be averaged."""
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("checkpoint1.pt", "checkpoint2.pt", "checkpoint_last.pt", "checkpoint.best_bleu_30.0000.pt"):
        torch.save(weights(), folder / name)
    return folder


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_checkpoints(run_folder, kind):
    """Regression: torch answered a damaged one with its advice to let it run code."""
    content, message = CHECKPOINTS[kind]
    (run_folder / "checkpoint1.pt").write_bytes(content)
    arguments = ["run", "averaged.pt", "--count", "2"]
    assert_refused("average_checkpoints", arguments, message, run_folder.parent)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("run out.pt --count 3", "run has fewer than 3 checkpoints to average"),
        ("run run/checkpoint_last.pt --count 2", "is a name of fairseq's own checkpoints"),
        ("run checkpoint.best_bleu_50.0.pt --count 2", "is a name of fairseq's own checkpoints"),
        ("run link.pt --count 2", "link.pt is a name of fairseq's own checkpoints"),
        ("run out.pt --metric bleu", "--metric goes with --which best"),
        ("run out.pt --which best --count 1", "was not saved as the best by bleu, but by None"),
        ("run out.pt --which best --count 1 --metric ppl", "the best checkpoints are by bleu"),
        ("run out.pt --count 2 --which best", "to average: ask for fewer than best:2"),
    ],
)
def test_averaging_arguments(run_folder, arguments, message):
    """Regression: checkpoint_last.pt was overwritten by an average, without which no run resumes."""
    (run_folder.parent / "link.pt").symlink_to(run_folder / "checkpoint_last.pt")
    if "best" in arguments:
        (run_folder / "checkpoint.best_bleu_nan0.pt").touch()
    assert_refused("average_checkpoints", arguments.split(), message, run_folder.parent)


def test_parts_of_checkpoints(run_folder):
    """Regression: the whole checkpoints of an earlier run were averaged in the place of parts."""
    (run_folder / "checkpoint_last-shard0.pt").touch()
    message = "run/checkpoint_last-shard0.pt is a part of a checkpoint"
    assert_refused("average_checkpoints", ["run", "out.pt", "--count", "2"], message, run_folder.parent)


def test_a_folder_for_a_checkpoint_and_a_full_disk(run_folder):
    (run_folder / "checkpoint3.pt").mkdir()
    arguments = ["run", "out.pt", "--count", "2"]
    message = "cannot read run/checkpoint3.pt: Is a directory"
    assert_refused("average_checkpoints", arguments, message, run_folder.parent)
    (run_folder / "checkpoint3.pt").rmdir()
    message = "cannot write /dev/full: No space left on device"
    assert_refused("average_checkpoints", ["run", "/dev/full", "--count", "2"], message, run_folder.parent)


# ---- plot_training.py

RECORD = "| INFO | train_inner | epoch 001: 1 / 9 loss=9, num_updates=5\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("empty.log", "has no train_inner, train or valid lines: is it the log of fairseq-train"),
        ("good.log --x time", "no log line has what --x time needs"),
        ("log.png -o log.png", "log.png would be written over log.png"),
    ],
)
def test_logs(tmp_path, arguments, message):
    """Regression: the log was overwritten by the picture."""
    for name, content in {"good.log": RECORD, "log.png": RECORD, "empty.log": ""}.items():
        (tmp_path / name).write_text(content)
    assert_refused("plot_training", arguments.split(), message, tmp_path)


# ---- as a shell calls them


def test_a_bad_argument_in_a_shell(tmp_path):
    """In a process of its own, a script's error is one line, though fairseq's import has something to say."""
    script = "examples/summarization/summarize.py"
    result = call(script, "--nonsense", cwd=tmp_path, LC_ALL="C", PYTHONUTF8="0")
    assert result.code == 2
    assert result.err.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in result.err
    assert not list(tmp_path.iterdir())
