"""rdrop_tools/training: what is read from a log of fairseq-train, and plotted."""

import pytest
from bad_input import call_here

from rdrop_tools.cli import InputError
from rdrop_tools.training.plot_training import names, plot, x_axis
from rdrop_tools.training.training_log import read_log

INNER = "2026-01-01 | INFO | train_inner | epoch 001: 1 / 9 loss={1}, num_updates={0}, wall={0}\n"
VALID = "2026-01-01 | INFO | valid | epoch 002 | valid on 'valid' subset | loss 9.7 | num_updates {}\n"


def inner(*points):
    return "".join(INNER.format(update, loss) for update, loss in points)


@pytest.fixture
def log(tmp_path):
    return tmp_path / "train.log"


def read(log, content):
    log.write_text(content)
    return read_log(log)


def test_the_x_axis(log):
    """A validation between two lines of training is placed between them, by epoch and by wall-clock.

    The lines are of fairseq-hydra-train; fairseq-train's are in test_log_formats.py.
    """
    line = "[2026-01-01][train_inner][INFO] - epoch 002:     {0} / 100 loss=9, num_updates={1}, wall={2}\n"
    curves = read(log, line.format(20, 120, 3600) + VALID.format(125) + line.format(30, 130, 7200))
    places = [x_axis(curves["train_inner"], x) for x in ("update", "epoch", "time")]
    assert [place(120) for place in places] == [120, 1.2, 1]
    assert [place(125) for place in places] == [125, 1.25, 1.5]
    assert places[1](140) == 1.3


@pytest.mark.parametrize(
    "cut",
    [
        inner((200, 8)).partition(", wall")[0][:-1],  # "num_updates=20" of 200
        inner((20, 8)).partition(", wall")[0] + "2026-01-01 | INFO | fairseq.trainer | the next run\n",
        '| INFO | train_inner | {"loss": "8", "num_upd\n',
    ],
)
def test_what_is_cut_off_is_left_out(log, cut):
    """Regression: "num_updates=20", cut from 200 or before the next run's first line, was taken for 20."""
    assert read(log, inner((10, 9)) + cut)["train_inner"]["loss"] == {10: 9}


def test_null_or_text_for_a_figure_leaves_out_the_figure(log):
    line = '| INFO | train_inner | {"loss": null, "wps": "fast", "bleu": NaN, "gnorm": 1, "num_updates": 5}'
    curves = read(log, f"{line}\n")["train_inner"]
    assert curves.keys() == {"gnorm", "num_updates", "position"}


def test_what_a_run_did_after_its_last_checkpoint_is_left_out(log):
    """Regression: updates 15 to 30 of the first run stood between those of the second, and beyond its end.

    The wall-clock of the second goes on from the first's.
    """
    first = inner((5, 9), (15, 8), (25, 7)) + VALID.format(30)
    curves = read(log, first + inner((12, 8.5), (20, 8.2)))
    assert curves["train_inner"]["loss"] == {5: 9, 12: 8.5, 20: 8.2}
    assert curves["train_inner"]["wall"] == {5: 5, 12: 37, 20: 45}
    assert curves["valid"]["loss"] == {}


def test_a_log_without_progress_is_told(log):
    assert not any(read(log, "2026-01-01 | INFO | fairseq_cli.train | done\n").values())
    with pytest.raises(InputError, match=r"train.log has no train_inner, train or valid lines: .* than none"):
        plot([log], "update")


def test_several_runs_have_several_names(tmp_path):
    """Regression: two logs of one folder were both called by the folder."""
    assert names([tmp_path / "a" / "train.log", tmp_path / "b" / "train.log"]) == ["a", "b"]
    logs = [tmp_path / "plain.log", tmp_path / "rdrop.log"]
    assert names(logs) == list(map(str, logs))


def test_a_log_without_training_or_of_one_record_is_plotted(log):
    for text in (inner((10, 9)), VALID.format(50)):
        log.write_text(text)
        (line,) = plot([log], "update").axes[0].lines
        assert line.get_marker() == "o"


@pytest.mark.parametrize(("name", "magic"), [("a.JPG", b"\xff\xd8"), ("a", b"\x89PNG")])
def test_the_picture_has_the_format_of_its_name(log, name, magic):
    """Regression: the picture had another name, as matplotlib adds .png to one without an ending."""
    log.write_text(inner((10, 9)))
    assert call_here("plot_training", log, "-o", log.with_name(name)).code == 0
    assert log.with_name(name).read_bytes().startswith(magic)
    assert sorted(path.name for path in log.parent.iterdir()) == sorted([name, "train.log"])
