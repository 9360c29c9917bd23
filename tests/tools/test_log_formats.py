"""What fairseq-train leaves: its log in each format, as plot_training.py reads it, and its checkpoints."""

import pytest
import training
from conftest import TRANSFORMER

from rdrop_tools.training import average_checkpoints
from rdrop_tools.training.plot_training import plot, read_curves
from rdrop_tools.training.training_log import read_log

pytest.importorskip("fairseq")


FLAGS = (
    "--criterion label_smoothed_cross_entropy_rdrop --optimizer adam --lr 0.01 --max-tokens 200 --cpu "
    "--valid-subset test,valid --num-workers 0 --data-buffer-size 0 --max-epoch 2 --log-interval 2 --seed 1 "
    "--no-epoch-checkpoints --keep-best-checkpoints 2"
)


@pytest.mark.slow
def test_the_log_formats_of_fairseq_train(data_bin, tmp_path):
    """Two epochs of seven updates. "tqdm" has the records of "simple", but for those within an epoch."""
    logs = {name: tmp_path / f"{name}.log" for name in ("json", "simple", "tqdm")}
    for name in ("json", "simple"):
        flags = [*TRANSFORMER, *FLAGS.split(), "--log-format", name, "--save-dir", str(tmp_path / name)]
        logs[name].write_text(training.call("train", str(data_bin), *flags))
    lines = logs["simple"].read_text().splitlines(keepends=True)
    logs["tqdm"].write_text("".join(line for line in lines if "| train_inner |" not in line))
    records = {name: read_log(log) for name, log in logs.items()}
    for name in ("json", "simple"):
        assert list(records[name]["train_inner"]["loss"]) == [2, 4, 6, 8, 10, 12, 14]
        assert records[name]["train_inner"]["position"][10] == pytest.approx(1 + 3 / 7, abs=1e-3)
        assert records[name]["train"].keys() >= {"wall", "train_wall"}
        assert records[name]["test"]["loss"] != records[name]["valid"]["loss"]
    for name in ("train loss", "train rdrop_kl_loss", "valid loss", "test loss", "train position"):
        kind, name = name.split()
        curve = records["json"][kind][name]
        assert list(curve) == [7, 14]
        assert records["simple"][kind][name] == curve
    assert records["json"]["train"]["position"] == {7: 1, 14: 2}
    assert read_curves(logs["tqdm"])["train"] == records["simple"]["train"]
    for x in ("update", "epoch", "time"):
        axes = plot(list(logs.values()), x).axes
        assert [len(axis.lines) for axis in axes] == [9, 3, 0, 3]
    check_best_checkpoints(tmp_path / "json")


def check_best_checkpoints(folder):
    """Those by the loss are the lowest: the direction is read from what fairseq-train saves."""
    paths = average_checkpoints.choose(folder, "best", 2, None)
    figures = [float(path.name.removeprefix("checkpoint.best_loss_").removesuffix(".pt")) for path in paths]
    assert figures == sorted(figures)
    assert average_checkpoints.higher_is_better(paths[0], "loss") is False
