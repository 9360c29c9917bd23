"""What `make results` builds: the figure and the pages; and that what is committed is what it would build."""

import json
import re
import sys

import pytest
from conftest import ROOT

pytest.importorskip("matplotlib")

from made_up_results import SECONDS, made_up_systems

from experiments import build_results, figure
from experiments.evidence import SACREBLEU
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
    """A curve moves few pixels: with a second seed the picture passed for the same."""
    systems = made_up_systems()
    drawn = figure.draw(systems, SECONDS)
    figure.save(drawn, tmp_path / "figure.png")
    assert figure.digest_of_file(tmp_path / "figure.png") == figure.digest(drawn)
    systems["rdrop-long"][0]["curve"][0]["bleu"] += 0.1
    assert figure.digest(figure.draw(systems, SECONDS)) != figure.digest(drawn)


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A folder of results with a table and some systems."""
    monkeypatch.setattr(build_results, "RESULTS", tmp_path)
    (tmp_path / "made").mkdir()
    (tmp_path / "step.csv").write_text(
        'criterion,setting,time_over_plain\n"ours, fused",small,1.665\n"ours, fused",large,1.777\n'
        "plain,large,2\n"
    )
    rows = [",".join(COLUMNS)]
    for system, seeds in made_up_systems().items():
        for each in seeds:
            start = each["from"]["system"] if each["from"] else ""
            flags = " ".join(each["flags"])
            rows.append(
                f"~,{system},{each['seed']},{each['criterion']},,,{start},,,{each['baseline']},,{flags}"
            )
            (tmp_path / "made" / f"{system}-{each['seed']}.json").write_text(json.dumps(each))
    (tmp_path / "made" / "runs.csv").write_text("\n".join(rows))
    return tmp_path


def test_values(results):
    for name, expected in {
        "step.csv; large; ours, fused; time_over_plain": "1.78",
        "step.csv; large; ours, fused; time_over_plain; .1f": "1.8",
        "step.csv; ours, fused; large; time_over_plain; over; plain": "0.89",
        "made/rdrop-long-1.json; curve; -1; bleu; d": "36",
        "made/rdrop-long-1.json; curve; update=120; nll; .3f": "2.170",
        "made/rdrop-long-1.json; seed": "1",
        f"made/rdrop-long-2.json; scores; against; test; Flickr 2016; {SACREBLEU}; p_value; .3f": "0.045",
        "made/rdrop-long; pairs": "29,000",
        "made/finish; updates": "360",
        "made/rdrop-long; minus; plain-long; test; Flickr 2017; +.1f": "+2.5",
        "made/rdrop-long; minus; plain-long; valid; mean; +.2f": "+2.50",
        "made/rdrop-long; test; Flickr 2017; chrF2, sacreBLEU": "59.00",
        "made/rdrop-long; valid; last:5": "39.10",
        "made/rdrop-long; valid; best:1; last:5": "39.05",
        "made/rdrop-long; greedy": "37.50",
        "made/rdrop-long; greedy; 0": "0.00",
        "made/rdrop-long; significant": "3 of 6",
        "made/rdrop-long-1; updates; ,.0f": "240",
    }.items():
        assert value(results, name) == expected, name


@pytest.mark.parametrize(
    "name",
    [
        "made/rdrop-long; ahead; plain-long; nothing",
        "step.csv; ours, fused; time_over_plain",  # of two rows
        "step.csv; large; nothing",
        "nothing.csv; large; time_over_plain",
        "made/rdrop-long-1.json; curve",
        "made/rdrop-long-1.json; curve; update=7; nll",
        "made/nobody; minutes",
        "made/rdrop-long; nothing",
        "made/rdrop-long",
        "made/plain-long; ahead; rdrop-long",
        "made",
    ],
)
def test_names_that_are_none(results, name):
    (results / "page.md").write_text(f"<!-- value {name} -->1<!-- end -->\n")
    with pytest.raises(InputError, match=rf"page\.md: value {name}: "):
        build_results.rebuilt(results / "page.md", {})


def test_a_page(results):
    """Blocks and figures are built anew, whatever stands there."""
    page, name = results / "page.md", "step.csv; plain; time_over_plain"
    text = "It takes <!-- value {0} -->{1}<!-- end --> times.\n<!-- results a -->\n{2}<!-- end -->\n"
    page.write_text(text.format(name, 9.99, ""))
    assert build_results.rebuilt(page, {"a": "| table |"}) == text.format(name, "2.00", "| table |\n")
    with pytest.raises(InputError, match=r"page\.md: results a is none of b"):
        build_results.rebuilt(page, {"b": ""})
