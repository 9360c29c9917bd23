"""What fairseq-train leaves: its log in each format, as plot_training.py reads it, and its checkpoints."""

import os
import pty
import re
import subprocess
import sys

import pytest
import training
from conftest import TRANSFORMER, USER_DIR, run

from rdrop_tools.cli import InputError
from rdrop_tools.training import average_checkpoints
from rdrop_tools.training.plot_training import plot, read_curves
from rdrop_tools.training.training_log import read_log

pytest.importorskip("fairseq")


def train(data_bin, log_format, log):
    """Writes the log of two epochs of seven updates; tqdm's as one sees it in a terminal, with its bar."""
    flags = "--criterion label_smoothed_cross_entropy_rdrop --optimizer adam --lr 0.01 --max-tokens 200"
    flags += " --valid-subset test,valid --num-workers 0 --max-epoch 2 --log-interval 2 --seed 1"
    command = ["fairseq-train", str(data_bin), "--user-dir", USER_DIR, *TRANSFORMER, *flags.split()]
    command += ["--log-format", log_format, "--no-epoch-checkpoints", "--keep-best-checkpoints", "2"]
    command += ["--save-dir", str(log.with_suffix(""))]
    if log_format != "tqdm":
        log.write_text(run(*command).stdout)
        return
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"}
    with (
        subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as process,
        log.open("wb") as file,
    ):
        os.close(theirs)
        while True:
            try:
                file.write(os.read(ours, 65536))
            except OSError:  # EIO: the other end is closed
                break
    os.close(ours)
    assert process.returncode == 0


@pytest.fixture(scope="module")
def logs(data_bin, tmp_path_factory):
    """{format: log of a training}"""
    folder = tmp_path_factory.mktemp("logs")
    logs = {name: folder / f"{name}.log" for name in ("json", "simple", "tqdm")}
    for name, log in logs.items():
        train(data_bin, name, log)
    return logs


@pytest.mark.slow
def test_the_log_formats_of_fairseq_train(logs):
    """All are read: "tqdm" in a terminal logs epochs only."""
    records = {name: read_log(log) for name, log in logs.items()}
    for name in ("json", "simple"):
        assert list(records[name]["train_inner"]["loss"]) == [2, 4, 6, 8, 10, 12, 14]
        assert records[name]["train_inner"]["position"][10] == pytest.approx(1 + 3 / 7, abs=1e-3)
    for name in ("train loss", "train rdrop_kl_loss", "valid loss", "train position"):
        kind, name = name.split()
        curve = records["json"][kind][name]
        assert list(curve) == [7, 14]
        assert records["simple"][kind][name] == curve == records["tqdm"][kind][name]
    assert records["json"]["train"]["position"] == {7: 1, 14: 2}
    assert not records["tqdm"]["train_inner"]
    assert read_curves(logs["tqdm"])["train"] == records["tqdm"]["train"]
    for x in ("update", "epoch", "time"):
        axes = plot(list(logs.values()), x).axes
        assert [len(axis.lines) for axis in axes] == [9, 3, 0, 3]


@pytest.mark.slow
@pytest.mark.parametrize("log_format", ["simple", "json"])
def test_every_validation_subset_has_its_curve(logs, log_format):
    """Regression: a subset of another name than valid was not read, and nothing said so."""
    text, records = logs[log_format].read_text(), read_log(logs[log_format])
    for subset in ("test", "valid"):
        before = rf"(?:\| valid on '{subset}' subset \| loss |\"{subset}_loss\": \")"
        losses = [float(loss) for loss in re.findall(rf"{before}([\d.]+)", text)]
        assert records[subset]["loss"] == dict(zip((7, 14), losses, strict=True))
    labels = [line.get_label() for line in plot([logs[log_format]], "update").axes[0].lines]
    assert sorted(labels) == ["test", "train", "valid"]


@pytest.mark.slow
def test_the_best_checkpoints_by_loss_are_the_lowest(logs):
    """The direction is read from what fairseq-train saves."""
    paths = average_checkpoints.choose(logs["json"].with_suffix(""), "best", 2, None)
    figures = [float(path.name.removeprefix("checkpoint.best_loss_").removesuffix(".pt")) for path in paths]
    assert figures == sorted(figures)
    assert average_checkpoints.higher_is_better(paths[0], "loss") is False


def test_a_log_without_progress_is_told(data_bin, tmp_path):
    log = tmp_path / "none.log"
    log.write_text(training.train(data_bin, tmp_path, *"--log-format none --max-update 2 --no-save".split()))
    assert read_log(log) == {"train_inner": {}, "train": {}, "valid": {}}
    with pytest.raises(InputError, match=r"none.log has no train_inner, train or valid lines: .* than none"):
        read_curves(log)
