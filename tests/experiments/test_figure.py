"""The figures that `make results` draws."""

import pytest

pytest.importorskip("matplotlib")

from made_up_results import SECONDS, two_systems

from experiments.build_results import LOSSES, is_same_figure
from experiments.figure import draw, draw_losses

systems = pytest.fixture(two_systems)


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
