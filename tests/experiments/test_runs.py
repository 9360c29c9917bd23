"""experiments/runs.py: which lists of runs are refused, and what the curve of a training is."""

import pytest

from experiments.experiment import Experiment
from experiments.multi30k import Multi30k, best_point
from experiments.runs import COLUMNS, Run, read_runs
from rdrop_tools.cli import InputError


@pytest.fixture
def trained(tmp_path):
    """A run whose log has such a BLEU and KL at the ends of its epochs."""

    def write(*epochs, patience=20):
        run = Run("multi30k.en-de", "a", 1, "plain", "", "all", "", 99, patience, "", "", ())
        corpus = Multi30k(tmp_path, run)
        corpus.out.mkdir(parents=True, exist_ok=True)
        (corpus.out / "train.log").write_text(
            "".join(
                f"| INFO | valid | epoch 001 | valid on 'valid' subset | nll_loss 3.1 | bleu {bleu} "
                f"| num_updates {update}\n| INFO | train | epoch 001 | loss 5 | nll_loss 4.2{kl} "
                f"| num_updates {update} | train_wall 60 | wall 99\n"
                for update, bleu, kl in epochs
            )
        )
        return corpus

    return write


def test_curve_ends_where_patience_does(trained):
    """A log that goes on after the end of patience gives the same curve."""
    epochs = (10, 1.5, ""), (20, 3.5, ""), (30, 3.5, ""), (40, 2.5, ""), (50, 9.5, "")
    points, ended = trained(*epochs).curve()
    assert ended
    assert [point["update"] for point in points] == [10, 20, 30, 40]
    assert points[0] == {"update": 10, "bleu": 1.5, "nll": 3.1, "train_nll": 4.2, "train_seconds": 60}
    assert best_point(points)["update"] == 30  # of equals the last, which fairseq keeps
    points, ended = trained(*epochs, patience=21).curve()
    assert not ended
    assert len(points) == 5


def test_the_checkpoints_are_those_of_the_curve(trained, tmp_path):
    """Regression: what was trained until the end of patience was seen took the best checkpoint's place, or
    left it half-written when it was killed. Short epochs showed it.
    """
    corpus = trained((10, 1.5, ""), (20, 3.5, ""), (30, 2.5, ""), (40, 2.5, ""), (50, 9.5, ""))
    names = ["1", "2", "3", "4", "5", "6", "_best", "_last"]
    for name in names:
        (corpus.out / f"checkpoint{name}.pt").write_text(name)
    for _ in range(2):
        Experiment(corpus, tmp_path).go_back()
        kept = {path.stem: path.read_text() for path in corpus.out.glob("*.pt")}
        assert kept.pop("checkpoint_best") == "2"
        assert kept.pop("checkpoint_last") == "4"
        assert kept == {f"checkpoint{name}": name for name in names[:4]}
    (corpus.out / "train.log").write_text("")
    Experiment(corpus, tmp_path).go_back()
    assert not list(corpus.out.glob("*.pt"))


def test_the_curve_of_a_run_with_a_later_start(trained):
    """Regression: an epoch before --rdrop-start-update has no KL, and the curve ended in a KeyError."""
    points, _ = trained((4, 1.0, ""), (8, 2.0, " | rdrop_kl_loss 0.5")).curve()
    assert [(point["update"], point.get("train_kl")) for point in points] == [(4, None), (8, 0.5)]


ROW = "~,{0},1,rdrop,1,all,{1},9,9,{2},no,".format
BEGINS = "a-1 begins with b-1"


@pytest.mark.parametrize(
    ("message", "rows"),
    [
        ("line 2: must be an integer of at least 1, got 'x'", ["~,a,x,plain,,all,,9,9,,no,"]),
        ("corpus must be multi30k.en-de or samsum, got", ["x,a,1,plain,,all,,9,9,,no,"]),
        ("line 2: patience must be empty, got '9'", ["samsum,a,1,plain,,all,,9,9,,no,"]),
        ("line 2: expected 12 values", ["~,a,1,plain,,all"]),
        ("line 2: No closing quotation", ["~,a,1,plain,,all,,9,9,,no,'"]),
        ("line 3: a-1 is there twice", [ROW("a", "", ""), ROW("a", "", "")]),
        ("a-1 has the baseline b-1, which is not there", [ROW("a", "", "b")]),
        (
            "a-1 and its baseline must have the same test",
            [ROW("a", "", "b").replace(",no,", ",last:5,"), ROW("b", "", "")],
        ),
        (f"{BEGINS}, which is not there", [ROW("a", "b", ""), ROW("b", "", "").replace(",1,", ",2,", 1)]),
        (
            f"{BEGINS} begins with c-1 begins with b-1: a circle",
            [ROW("a", "b", ""), ROW("b", "c", ""), ROW("c", "b", "")],
        ),
        (f"{BEGINS}, which has other pairs", [ROW("a", "b", "").replace("all", "9"), ROW("b", "", "")]),
    ],
)
def test_a_list_that_is_none(tmp_path, message, rows):
    path = tmp_path / "runs.csv"
    path.write_text("\n".join([",".join(COLUMNS), *rows, ""]).replace("~", "multi30k.en-de"))
    with pytest.raises(InputError, match=r"runs\.csv") as error:
        read_runs(path)
    assert message in str(error.value)
