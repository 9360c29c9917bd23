"""The figures that `make results` draws."""

from copy import deepcopy
from itertools import combinations

import pytest

pytest.importorskip("matplotlib")

from made_up_results import SECONDS, interval_2, two_seeds, two_systems

from experiments.build_results import LOSSES, is_same_figure
from experiments.figure import draw, draw_losses


def test_a_figure_of_other_results_is_another(tmp_path):
    """A curve moves few pixels: with a second seed the picture passed for the same.

    Each schedule has a curve of its own, and of the plain trainings the longest is drawn.
    """
    systems = two_systems()
    drawn = {"committed": systems, "again": systems, "other": deepcopy(systems)}
    drawn["other"]["rdrop-a2"][0]["curve"][0]["bleu"] += 0.1
    drawn["schedules"] = systems | interval_2("plain-d0.3")
    for last in (35, 36):
        plain = two_seeds("plain-long", [30, 34, 33, 35, last], 36.0)
        drawn[f"plain {last}"] = systems | plain | interval_2("plain-long")
    for name, each in drawn.items():
        draw(each, SECONDS, tmp_path / f"{name}.png")
    pairs = combinations([*drawn, "none"], 2)
    same = [pair for pair in pairs if is_same_figure(*(tmp_path / f"{name}.png" for name in pair))]
    assert same == [("committed", "again")]


def test_the_figure_of_the_losses(tmp_path):
    """It is drawn anew where the CSV of benchmark_loss.py has another figure."""
    table = LOSSES.read_text()
    for name, text in (("first", table), ("other", table.replace(",473.", ",474."))):
        (tmp_path / f"{name}.csv").write_text(text)
        draw_losses(tmp_path / f"{name}.csv", tmp_path / f"{name}.png")
    assert not is_same_figure(tmp_path / "first.png", tmp_path / "other.png")
