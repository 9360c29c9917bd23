"""What is committed under results/: where it comes from, and that tables and figures are built from it."""

import json
import re
import sys

import pytest
from conftest import ROOT

pytest.importorskip("matplotlib")

from experiments import build_results
from experiments.runs import read_runs


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
