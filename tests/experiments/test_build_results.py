"""What `make results` builds: figures, values in prose, and that what is committed is what it would build."""

import json
import re
import sys
from copy import deepcopy
from itertools import combinations

import pytest
from conftest import ROOT

pytest.importorskip("matplotlib")

from made_up_results import SECONDS, interval_2, two_seeds, two_systems

from experiments import build_results
from experiments.build_results import LOSSES, is_same_figure, rebuilt
from experiments.evidence import SACREBLEU
from experiments.figure import draw, draw_losses
from experiments.runs import COLUMNS, read_runs
from experiments.values import value
from rdrop_tools.cli import InputError


@pytest.mark.parametrize("folder", ["multi30k", "screening"])
def test_every_list_of_runs_says_which_batches_it_has(folder):
    """Regression: the recipe's batches changed, and with them those of trainings that are compared."""
    for listed in read_runs(ROOT / "results" / folder / "runs.csv"):
        assert "--required-batch-size-multiple" in listed.flags, listed.name


def test_what_is_committed_is_what_make_results_builds(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["build_results.py", "--check"])
    build_results.main()


def test_results_say_where_they_come_from():
    """No figure without command, commit, seed, hardware, versions and date."""
    found = list((ROOT / "results").rglob("*.json"))
    assert found
    for path in found:
        text = json.dumps(json.loads(path.read_bytes()))
        keys = ("command", "commit", "seed", "hardware", "versions", "date")
        assert not [key for key in keys if f'"{key}' not in text], path
        assert not re.search(r'"/|home/|root/', text), path


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


@pytest.fixture
def results(tmp_path):
    """A folder of results with a table and two systems."""
    (tmp_path / "made").mkdir()
    (tmp_path / "step.csv").write_text(
        'criterion,setting,time_over_plain\n"ours, fused",small,1.665\n"ours, fused",large,1.777\n'
        "plain,large,2\n"
    )
    rows = [",".join(COLUMNS)]
    for system, seeds in two_systems().items():
        for each in seeds:
            rows.append(f"~,{system},{each['seed']},{each['criterion']},,,,,,{each['baseline']},,")
            (tmp_path / "made" / f"{system}-{each['seed']}.json").write_text(json.dumps(each))
    (tmp_path / "made" / "runs.csv").write_text("\n".join(rows))
    return tmp_path


def test_values(results):
    for name, expected in {
        "step.csv; large; ours, fused; time_over_plain": "1.78",
        "step.csv; large; ours, fused; time_over_plain; .1f": "1.8",
        "step.csv; ours, fused; large; time_over_plain; over; plain": "0.89",
        "made/rdrop-a2-1.json; curve; -1; bleu; d": "36",
        "made/rdrop-a2-1.json; curve; update=120; nll; .3f": "2.170",
        "made/rdrop-a2-1.json; seed": "1",
        f"made/rdrop-a2-2.json; scores; against; test; Flickr 2016; {SACREBLEU}; p_value; .3f": "0.125",
        "made/rdrop-a2; pairs": "29,000",
        "made/rdrop-a2; updates": "240",
        "made/rdrop-a2; minus; plain-d0.3; test; Flickr 2017; +.1f": "+2.5",
        "made/rdrop-a2; minus; plain-d0.3; valid; mean; +.2f": "+2.50",
        "made/rdrop-a2; valid; last:5": "39.10",
        "made/rdrop-a2; greedy": "37.50",
        "made/rdrop-a2; significant": "0 of 6",
        "made/rdrop-a2-1; updates; ,.0f": "240",
    }.items():
        assert value(results, name) == expected, name


def test_names_that_are_none(results):
    for name in (
        "step.csv; ours, fused; time_over_plain",  # of two rows
        "step.csv; large; nothing",
        "nothing.csv; large; time_over_plain",
        "made/rdrop-a2-1.json; curve",
        "made/rdrop-a2-1.json; curve; update=7; nll",
        "made/nobody; minutes",
        "made/rdrop-a2; nothing",
        "made/rdrop-a2",
        "made/plain-d0.3; ahead; rdrop-a2",
        "made",
    ):
        with pytest.raises(InputError, match=f"value {name}: "):
            value(results, name)


def test_a_page_with_values(tmp_path):
    """A figure that is not that of results is built anew; a name that is none is told with its page."""
    page = tmp_path / "page.md"
    name = "benchmark/step-multi30k.csv; ours, fused loss; time_over_plain"
    page.write_text(
        f"An update takes <!-- value {name} -->9.99<!-- end --> times, "
        f"<!-- value {name}; .1f --><!-- end -->.\n"
    )
    assert rebuilt(page, {}) == (
        f"An update takes <!-- value {name} -->1.85<!-- end --> times, "
        f"<!-- value {name}; .1f -->1.9<!-- end -->.\n"
    )
    page.write_text("<!-- value nothing; at all -->1<!-- end -->\n")
    with pytest.raises(InputError, match=r"page\.md: value nothing; at all: "):
        rebuilt(page, {})
