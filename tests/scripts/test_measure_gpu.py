"""scripts/measure_gpu.sh: in miniature on a CPU, and with parts that fail and hang."""

import json
import sys

import pytest
from conftest import SCRIPTS, run

from experiments.benchmark_tables import gpu_table
from rdrop_tools.cli import InputError

SCRIPT = SCRIPTS / "measure_gpu.sh"
# A Python whose tests fail, whose loss is measured at once, and whose training step hangs.
PYTHON = """#!/bin/bash
case "$*" in
  -c*) echo "$0" ;;
  "- cuda"*) echo '{}' ;;
  "-m pytest"*) echo "2 failed"; exit 3 ;;
  *benchmark_loss*) printf 'a,b\\n1,2\\n' >"${@: -1}" ;;
  *benchmark_step*) sleep 987 ;;
esac
"""


@pytest.mark.slow
def test_every_part_leaves_its_result(tmp_path):
    pytest.importorskip("fairseq")
    out = tmp_path / "out"
    output = run(SCRIPT, out, "600", "--dry-run", PYTHON=sys.executable).stdout
    assert output.count("exit 0: benchmarks.") == 3, (out / "measure.log").read_text()
    names = "installed.json loss.csv measure.log profile.txt step.csv trace.json.gz"
    assert sorted(path.name for path in out.iterdir()) == names.split()
    assert "aten::addmm" in (out / "profile.txt").read_text()
    with pytest.raises(InputError, match="is of a dry run"):
        gpu_table(tmp_path)
    installed = json.loads((out / "installed.json").read_bytes())
    (out / "installed.json").write_text(json.dumps(installed | {"dry_run": False}))
    for row in ("| linear_rdrop_loss |", "| tiny: 1 + 1 layers"):
        assert row in gpu_table(tmp_path)
    (out / "step.csv").unlink()
    assert "| tiny: " not in gpu_table(tmp_path)


def test_a_part_that_fails_or_hangs_is_one_part(tmp_path):
    """In the time that is there; the rows of others stay."""
    python, out = tmp_path / "python", tmp_path / "out"
    python.write_text(PYTHON)
    python.chmod(0o755)
    output = run(SCRIPT, out, "10", PYTHON=python).stdout
    ends = [line.split("] ")[1].split(" --")[0] for line in output.splitlines()]
    loss, step = "benchmarks.benchmark_loss", "benchmarks.benchmark_step"
    assert ends[:5] == [
        "exit 3: pytest -q -p no:cacheprovider -m cuda -n 12 tests/package tests/benchmarks",
        *[f"exit 0: {loss}"] * 2,
        f"exit 124: {step}",
        f"no time left: {step}",
    ]
    assert (out / "tests.txt").read_text() == "2 failed\n"
    assert (out / "loss.csv").read_text() == "a,b\n1,2\n1,2\n"
    names = "installed.json loss.csv measure.log tests.txt"
    assert sorted(path.name for path in out.iterdir()) == names.split()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["new"], "torch finds no GPU; --dry-run goes through some parts on a CPU"),
        (["full", "--dry-run"], "/full is not empty: choose another folder"),
    ],
)
def test_what_is_refused(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    result = run(SCRIPT, *arguments, check=False, PYTHON=sys.executable, CUDA_VISIBLE_DEVICES="")
    assert result.returncode == 1
    assert result.stdout.splitlines()[-1].startswith("error: ")
    assert message in result.stdout
    assert not (tmp_path / "new").exists()
