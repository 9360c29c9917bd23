"""The figures that `make results` draws."""

import pytest

pytest.importorskip("matplotlib")

from made_up_results import SECONDS, result, two_systems

from experiments.build_results import LOSSES, is_same_figure
from experiments.figure import draw, draw_losses

systems = pytest.fixture(two_systems)


def interval_2(baseline):
    runs = [result("interval-2", seed, [31, 34, 37, 38], 38.5, baseline) for seed in (1, 2)]
    return [run | {"flags": ["--rdrop-interval", "2"]} for run in runs]


def test_a_schedule_has_a_curve_of_its_own(systems, tmp_path):
    draw(systems, SECONDS, tmp_path / "one.png")
    systems["interval-2"] = interval_2("plain-d0.3")
    draw(systems, SECONDS, tmp_path / "two.png")
    assert not is_same_figure(tmp_path / "one.png", tmp_path / "two.png")


def test_the_longest_plain_training_is_drawn(systems, tmp_path):
    systems["interval-2"] = interval_2("plain-long")
    for last in (35, 36):
        curve = [30, 34, 33, 35, last]
        systems["plain-long"] = [result("plain-long", seed, curve, 36.0) for seed in (1, 2)]
        draw(systems, SECONDS, tmp_path / f"{last}.png")
    assert not is_same_figure(tmp_path / "35.png", tmp_path / "36.png")


def test_figure(systems, tmp_path):
    for name in ("both", "plain"):
        draw(systems, SECONDS, tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        systems.pop("rdrop-a2", None)
    assert (tmp_path / "both.png").read_bytes() != (tmp_path / "plain.png").read_bytes()


def test_a_figure_of_other_results_is_another(systems, tmp_path):
    """A curve moves few pixels: with a second seed the picture passed for the same."""
    paths = [tmp_path / name for name in ("committed.png", "again.png", "other.png")]
    for path in paths:
        systems["rdrop-a2"][0]["curve"][0]["bleu"] += 0.1 * (path.stem == "other")
        draw(systems, SECONDS, path)
    committed, again, other = paths
    assert is_same_figure(again, committed)
    assert not is_same_figure(other, committed)
    assert not is_same_figure(other, tmp_path / "none.png")


def test_the_figure_of_the_losses(tmp_path):
    """It is drawn anew where the CSV of benchmark_loss.py has another figure."""
    table = LOSSES.read_text()
    for name, text in (("first", table), ("other", table.replace(",473.", ",474."))):
        (tmp_path / f"{name}.csv").write_text(text)
        draw_losses(tmp_path / f"{name}.csv", tmp_path / f"{name}.png")
    assert not is_same_figure(tmp_path / "first.png", tmp_path / "other.png")
