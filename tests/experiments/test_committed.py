"""What is committed under results/: where it comes from, and that tables and figures are built from it."""

import json
import re
import sys

import pytest
from conftest import ROOT, run

from experiments.runs import read_runs

pytest.importorskip("matplotlib")


@pytest.mark.parametrize("folder", ["multi30k", "screening"])
def test_every_list_of_runs_says_which_batches_it_has(folder):
    """Regression: the recipe's batches changed, and with them those of trainings that are compared."""
    for listed in read_runs(ROOT / "results" / folder / "runs.csv"):
        assert "--required-batch-size-multiple" in listed.flags, listed.name


def test_what_is_committed_is_what_make_results_builds():
    run(sys.executable, "-m", "experiments.build_results", "--check")


def test_results_say_where_they_come_from():
    """No figure without command, commit, seed, hardware, versions and date."""
    found = list((ROOT / "results").rglob("*.json"))
    assert found
    for path in found:
        result = json.loads(path.read_bytes())
        text = json.dumps(result)
        missing = [
            key
            for key in ("command", "commit", "seed", "hardware", "versions", "date")
            if f'"{key}' not in text
        ]
        assert not missing, f"{path}: {missing}"
        assert not re.search(r'"/|home/|root/', text), path
