"""What fairseq-train leaves: its log in each format, as plot_training.py reads it, and its checkpoints."""

import os
import pty
import re
import sys
from pathlib import Path

import pytest
import training
from conftest import TRANSFORMER

from rdrop_tools.training import average_checkpoints
from rdrop_tools.training.plot_training import plot, read_curves
from rdrop_tools.training.training_log import read_log

pytest.importorskip("fairseq")


def train(data_bin, log_format, log):
    """Writes the log of two epochs of seven updates; tqdm's as one sees it in a terminal, with its bar."""
    flags = "--criterion label_smoothed_cross_entropy_rdrop --optimizer adam --lr 0.01 --max-tokens 200 --cpu"
    flags += " --valid-subset test,valid --num-workers 0 --data-buffer-size 0 --max-epoch 2 --log-interval 2"
    flags += f" --seed 1 --no-epoch-checkpoints --keep-best-checkpoints 2 --log-format {log_format}"
    arguments = [str(data_bin), *TRANSFORMER, *flags.split(), "--save-dir", str(log.with_suffix(""))]
    if log_format != "tqdm":
        log.write_text(training.call("train", *arguments))
        return
    command = [str(Path(sys.executable).with_name("fairseq-train")), *arguments, *training.PLUGIN]
    with log.open("wb") as file:
        code = pty.spawn(command, lambda terminal: copied(os.read(terminal, 65536), file))
    assert code == 0


def copied(content, file):
    file.write(content)
    return content


@pytest.mark.slow
def test_the_log_formats_of_fairseq_train(data_bin, tmp_path):
    """All are read: "tqdm" in a terminal logs epochs only."""
    logs = {name: tmp_path / f"{name}.log" for name in ("json", "simple", "tqdm")}
    for name, log in logs.items():
        train(data_bin, name, log)
    records = {name: read_log(log) for name, log in logs.items()}
    for name in ("json", "simple"):
        assert list(records[name]["train_inner"]["loss"]) == [2, 4, 6, 8, 10, 12, 14]
        assert records[name]["train_inner"]["position"][10] == pytest.approx(1 + 3 / 7, abs=1e-3)
        check_subsets(logs[name], records[name])
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
    check_best_checkpoints(logs["json"].with_suffix(""))


def check_subsets(log, records):
    """Regression: a validation subset of another name than valid was not read, and nothing said so."""
    for subset in ("test", "valid"):
        before = rf"(?:\| valid on '{subset}' subset \| loss |\"{subset}_loss\": \")"
        losses = [float(loss) for loss in re.findall(rf"{before}([\d.]+)", log.read_text())]
        assert records[subset]["loss"] == dict(zip((7, 14), losses, strict=True))
    labels = [line.get_label() for line in plot([log], "update").axes[0].lines]
    assert sorted(labels) == ["test", "train", "valid"]


def check_best_checkpoints(folder):
    """Those by the loss are the lowest: the direction is read from what fairseq-train saves."""
    paths = average_checkpoints.choose(folder, "best", 2, None)
    figures = [float(path.name.removeprefix("checkpoint.best_loss_").removesuffix(".pt")) for path in paths]
    assert figures == sorted(figures)
    assert average_checkpoints.higher_is_better(paths[0], "loss") is False
