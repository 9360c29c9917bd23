"""experiments/runs.py: which lists of runs are refused, and what the curve of a training is."""

import pytest

from experiments.experiment import go_back
from experiments.multi30k import Multi30k, best_point
from experiments.runs import COLUMNS, read_runs
from rdrop_tools.cli import InputError


def write_list(folder, *rows):
    (folder / "runs.csv").write_text("\n".join([",".join(COLUMNS), *rows, ""]))
    return folder / "runs.csv"


def trained(folder, *bleus, patience=20):
    """A run that has such BLEU at the ends of its epochs, and R-Drop from the second on."""
    row = f"multi30k.en-de,a,1,rdrop,1,all,,99,{patience},,no,"
    training = Multi30k(*read_runs(write_list(folder, row)), folder, folder, "cpu")
    training.out.mkdir(parents=True, exist_ok=True)
    records = [
        f"| INFO | valid | epoch 001 | valid on 'valid' subset | nll_loss 3.1 | bleu {bleu} "
        f"| num_updates {10 * epoch}\n| INFO | train | epoch 001 | loss 5 | nll_loss 4.2 "
        f"{'| rdrop_kl_loss 0.5 ' * (epoch > 1)}| num_updates {10 * epoch} | train_wall 60 | wall 99\n"
        for epoch, bleu in enumerate(bleus, 1)
    ]
    (training.out / "train.log").write_text("".join(records))
    return training


def test_curve_ends_where_patience_does(tmp_path):
    """A log that goes on after the end of patience gives the same curve.

    Regression: an epoch before --rdrop-start-update has no KL, and the curve ended in a KeyError.
    """
    points, ended = trained(tmp_path, 1.5, 3.5, 3.5, 2.5, 9.5).curve()
    assert ended
    assert [point["update"] for point in points] == [10, 20, 30, 40]
    assert points[0] == {"update": 10, "bleu": 1.5, "nll": 3.1, "train_nll": 4.2, "train_seconds": 60}
    assert points[1]["train_kl"] == 0.5
    assert best_point(points)["update"] == 30  # of equals the last, which fairseq keeps
    points, ended = trained(tmp_path, 1.5, 3.5, 3.5, 2.5, 9.5, patience=21).curve()
    assert not ended
    assert len(points) == 5


def test_the_checkpoints_are_those_of_the_curve(tmp_path):
    """Regression: what was trained until the end of patience was seen took the best checkpoint's place, or
    left it half-written when it was killed. Short epochs showed it.
    """
    training = trained(tmp_path, 1.5, 3.5, 2.5, 2.5, 9.5)
    for name in ("1", "2", "3", "4", "5", "6", "_best", "_last"):
        (training.out / f"checkpoint{name}.pt").write_text(name)
    go_back(training)
    kept = {path.stem.removeprefix("checkpoint"): path.read_text() for path in training.out.glob("*.pt")}
    assert kept == {"1": "1", "2": "2", "3": "3", "4": "4", "_best": "2", "_last": "4"}
    (training.out / "train.log").write_text("")
    go_back(training)
    assert not list(training.out.glob("*.pt"))


def row(system="a", corpus="multi30k.en-de", seed="1", start="", patience="9", baseline="", test="no"):
    return f"{corpus},{system},{seed},rdrop,1,all,{start},9,{patience},{baseline},{test},"


@pytest.mark.parametrize(
    ("message", "rows"),
    [
        ("line 2: must be an integer of at least 1, got 'x'", [row(seed="x")]),
        ("line 2: patience must be empty, got '9'", [row(corpus="samsum")]),
        ("line 2: expected 12 values", ["multi30k.en-de,a,1,plain,,all"]),
        ("line 3: a-1 is there twice", [row(), row()]),
        ("the baseline of a-1, b-1, must be there", [row(baseline="b")]),
        ("b-1, must be there, its test the same", [row(baseline="b", test="last:5"), row("b")]),
        ("line 2: from: no b-1 of the same corpus and pairs is in a line before", [row(start="b"), row("b")]),
        ("line 3: from: no b-1 ", [row("b").replace("all", "9"), row(start="b")]),
    ],
)
def test_a_list_that_is_none(tmp_path, message, rows):
    with pytest.raises(InputError, match=r"runs\.csv") as error:
        read_runs(write_list(tmp_path, *rows))
    assert message in str(error.value)
