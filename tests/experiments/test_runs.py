"""experiments/runs.py: which lists of runs are refused, and what the curve of a training is."""

import pytest

from experiments.multi30k import Multi30k, best_point, curve
from experiments.runs import COLUMNS, read_runs
from experiments.train_run import go_back
from rdrop_tools.cli import InputError


@pytest.fixture
def log(tmp_path):
    """Writes the log of a training with such a BLEU and KL at the ends of its epochs."""

    def write(*epochs):
        path = tmp_path / "train.log"
        path.write_text(
            "".join(
                f"| INFO | valid | epoch 001 | valid on 'valid' subset | nll_loss 3.1 | bleu {bleu} "
                f"| num_updates {update}\n| INFO | train | epoch 001 | loss 5 | nll_loss 4.2{kl} "
                f"| num_updates {update} | train_wall 60 | wall 99\n"
                for update, bleu, kl in epochs
            )
        )
        return path

    return write


def test_curve_ends_where_patience_does(log):
    """A log that goes on after the end of patience gives the same curve."""
    path = log((10, 1.5, ""), (20, 3.5, ""), (30, 3.5, ""), (40, 2.5, ""), (50, 9.5, ""))
    points, ended = curve(path, 20)
    assert ended
    assert [point["update"] for point in points] == [10, 20, 30, 40]
    assert points[0] == {"update": 10, "bleu": 1.5, "nll": 3.1, "train_nll": 4.2, "train_seconds": 60}
    assert best_point(points)["update"] == 30  # of equals the last, which fairseq keeps
    assert curve(path, 21) == (curve(path, 1000)[0], False)


def test_the_checkpoints_are_those_of_the_curve(log, tmp_path):
    """Regression: what was trained until the end of patience was seen took the best checkpoint's place, or
    left it half-written when it was killed. Short epochs showed it.
    """
    log((10, 1.5, ""), (20, 3.5, ""), (30, 2.5, ""), (40, 2.5, ""), (50, 9.5, ""))
    names = ["1", "2", "3", "4", "5", "6", "_best", "_last"]
    for name in names:
        (tmp_path / f"checkpoint{name}.pt").write_text(name)
    (tmp_path / "runs.csv").write_text(f"{','.join(COLUMNS)}\nmulti30k.en-de,a,1,plain,,all,,99,20,,no,\n")
    (run,) = read_runs(tmp_path / "runs.csv")
    for _ in range(2):
        go_back(Multi30k("en-de"), run, tmp_path)
        kept = {path.stem: path.read_text() for path in tmp_path.glob("*.pt")}
        assert kept.pop("checkpoint_best") == "2"
        assert kept.pop("checkpoint_last") == "4"
        assert kept == {f"checkpoint{name}": name for name in names[:4]}
    (tmp_path / "train.log").write_text("")
    go_back(Multi30k("en-de"), run, tmp_path)
    assert not list(tmp_path.glob("*.pt"))


def test_the_curve_of_a_run_with_a_later_start(log):
    """Regression: an epoch before --rdrop-start-update has no KL, and the curve ended in a KeyError."""
    points, _ = curve(log((4, 1.0, ""), (8, 2.0, " | rdrop_kl_loss 0.5")), patience=100)
    assert [(point["update"], point.get("train_kl")) for point in points] == [(4, None), (8, 0.5)]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("~,a,x,plain,,all,,9,9,,no,", "line 2: must be an integer, got 'x'"),
        ("~,a,1,other,,all,,9,9,,no,", "line 2: criterion must be plain or rdrop, got 'other'"),
        ("~,a,1,plain,,all,,9,9,b,no,", "a-1 has the baseline b-1, which is not there"),
        (
            "~,a,1,rdrop,1,all,,9,9,b,last:5,\n~,b,1,plain,,all,,9,9,,no,",
            "a-1 and its baseline must have the same test",
        ),
        ("~,a,1,rdrop,1,all,b,9,9,,no,", "a-1 begins with b-1, which is not there"),
        (
            "~,a,1,rdrop,1,all,b,9,9,,no,\n~,b,2,plain,,all,,9,9,,no,",
            "a-1 begins with b-1, which is not there",
        ),
        (
            "~,a,1,plain,,all,b,9,9,,no,\n~,b,1,plain,,all,c,9,9,,no,\n~,c,1,plain,,all,b,9,9,,no,",
            "a-1 begins with b-1 begins with c-1 begins with b-1: a circle",
        ),
        (
            "~,a,1,plain,,9,b,9,9,,no,\n~,b,1,plain,,all,,9,9,,no,",
            "a-1 begins with b-1, which has other pairs",
        ),
        ("other,a,1,plain,,all,,9,9,,no,", "corpus must be multi30k.en-de or multi30k.en-fr or samsum, got"),
        ("samsum,a,1,plain,,all,,9,9,,no,", "line 2: patience must be empty, got '9'"),
        ("~,a,1,plain,,all", "line 2: expected 12 values"),
        ("~,a,1,plain,,all,,9,9,,no,'", "line 2: No closing quotation"),
    ],
)
def test_a_list_that_is_none(tmp_path, row, message):
    path = tmp_path / "runs.csv"
    path.write_text(f"{','.join(COLUMNS)}\n{row.replace('~', 'multi30k.en-de')}\n")
    with pytest.raises(InputError, match=r"runs\.csv") as error:
        read_runs(path)
    assert message in str(error.value)
