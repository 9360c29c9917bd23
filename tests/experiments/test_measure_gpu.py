"""scripts/measure_gpu.sh in miniature on a CPU, and the tables that are made of what it leaves."""

import csv
import json
import re
import shlex
import shutil
import sys
import tarfile
from pathlib import Path

import pytest
from bad_input import assert_refused
from conftest import ROOT, SCRIPTS, run

from experiments import measure_gpu
from experiments.benchmark_tables import gpu_table
from experiments.rows import read_rows
from rdrop_tools.cli import InputError

pytest.importorskip("fairseq")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """(folder, output) of a dry run with everything; the queue only lists its trainings."""
    out = tmp_path_factory.mktemp("gpu") / "out"
    result = run(SCRIPTS / "measure_gpu.sh", out, "600", "--dry-run", PYTHON=sys.executable, LOCAL_FILES="")
    return out, result.stdout


@pytest.mark.slow
def test_every_part_leaves_its_result(measured):
    out, output = measured
    parts = [line.rsplit(": ", 1) for line in output.splitlines() if " s" in line and ": " in line]
    assert [end.split(",")[0] for _, end in parts] == ["exit 0"] * 3, output
    names = "installed.json loss.csv measure.log profile.txt trace.json.gz"
    assert sorted(path.name for path in out.iterdir()) == names.split()
    installed = json.loads((out / "installed.json").read_bytes())
    assert installed["dry_run"]
    assert installed["versions"]["torch"]
    assert "Self CPU" in (out / "profile.txt").read_text()
    assert " runs to do on " in (out / "measure.log").read_text()
    with pytest.raises(InputError, match="is of a dry run"):
        gpu_table(out.parent)


def test_results_and_logs_of_the_queue_are_packed(tmp_path):
    for name in ("results/plain-1.json", "runs/plain-1/train.log", "runs/plain-1/checkpoint_last.pt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    measure_gpu.pack(tmp_path, tmp_path / "runs.tar.gz")
    with tarfile.open(tmp_path / "runs.tar.gz") as archive:
        assert archive.getnames() == ["results/plain-1.json", "runs/plain-1/train.log"]


def test_the_tables_of_a_measurement(tmp_path):
    """Those with the columns that later benchmarks have, and without what was cut off."""
    folder = tmp_path / "gpu"
    shutil.copytree(ROOT / "results" / "gpu" / "h200-2026-11-27", folder)
    before = gpu_table(tmp_path)
    for name, more in (
        ("loss.csv", {"bytes_a_logit": "7.5"}),
        ("step.csv", {"host_share": "0.25", "peak_mib": "5", "peak_over_plain": "1.5"}),
    ):
        rows = [row | more for row in read_rows(folder / name)]
        with (folder / name).open("w") as file:
            writer = csv.DictWriter(file, fieldnames=rows[0])
            writer.writeheader()
            writer.writerows(rows)
    later = gpu_table(tmp_path)
    for expected in ("| peak MiB | bytes a logit |", " | 7.5 |", "waits for its host", " | 5 | 1.50 | 25% |"):
        assert expected in later
        assert expected not in before
    assert "| iwslt: " in later
    (folder / "step.csv").unlink()
    assert "| iwslt: " not in gpu_table(tmp_path)


def test_every_file_with_tests_of_a_gpu_is_run():
    marked = re.compile(r"mark\.cuda|^ *(def test_.*[( ])?(model_)?device, ", re.M)
    found = {path for path in (ROOT / "tests").rglob("test_*.py") if marked.search(path.read_text())}
    others = {path for path in found if path.parent.name != "package"} - {Path(__file__)}
    assert {ROOT / name for name in measure_gpu.TESTS} == {ROOT / "tests" / "package", *others}


def test_a_part_that_fails_or_hangs_is_one_part(tmp_path, capsys):
    """Such a part is stopped with what it has started, and named; the rows of others stay."""
    (tmp_path / "loss.csv").write_text("a,b\n1,2\n")
    sleep = "import subprocess, time; print('begun', flush=True); subprocess.run(['sleep', '987'])"
    write = "import sys; open(sys.argv[2], 'w').write('a,b\\n3,4\\n')"
    with (tmp_path / "log").open("w") as log:
        for code, seconds in ((sleep, 2), ("raise SystemExit(3)", 60), (write, 60)):
            part = measure_gpu.Part("part", shlex.join(["-c", code]), seconds, "loss.csv")
            measure_gpu.run(part, seconds, tmp_path, log)
    said = [line.split(",")[0] for line in capsys.readouterr().out.splitlines()]
    assert said == ["part: stopped after 2 s", "part: exit 3", "part: exit 0"]
    assert "begun" in (tmp_path / "log").read_text()
    assert (tmp_path / "loss.csv").read_text() == "a,b\n1,2\n3,4\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "loss.csv"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("new", "torch finds no GPU; --dry-run goes through some parts on a CPU"),
        ("full --dry-run", "full is not empty: choose another folder"),
    ],
)
def test_what_is_refused(tmp_path, monkeypatch, arguments, message):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    assert_refused("measure_gpu", arguments.split(), message, tmp_path)
