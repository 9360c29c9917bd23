"""A damaged last checkpoint, and packages that are missing."""

import os
import sys

import pytest
import torch
from bad_files import write_files
from bad_input import assert_refused, call_here
from conftest import SCRIPTS, run


def test_a_checkpoint_whose_copy_was_cut_short_is_replaced(tmp_path):
    """Regression: after a kill while fairseq copied checkpoint_last.pt, no later run could resume from it."""
    names = ("checkpoint_best.pt", "checkpoint2.pt", "checkpoint_2_30.pt", "checkpoint1.pt")
    for age, name in enumerate(names):
        torch.save({"name": name}, tmp_path / name)
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    last = tmp_path / "checkpoint_last.pt"
    command = 'source "$1/common/lib.sh"; check_last_checkpoint "$2"'
    for content, expected in ((None, "whole"), (slice(200), "checkpoint2.pt")):
        torch.save({"name": "whole"}, last)
        if content:
            last.write_bytes(last.read_bytes()[content])
        run("bash", "-euc", command, "-", SCRIPTS, tmp_path)
        assert torch.load(last) == {"name": expected}


@pytest.mark.parametrize(
    ("package", "script", "arguments", "extra"),
    [
        ("sacremoses", "moses", "tokenize de", "examples"),
        ("subword_nmt", "apply_bpe", "codes in out --langs de en", "examples"),
        ("rouge_score", "score_rouge", "ref hyp", "examples"),
        ("matplotlib", "plot_training", "log", "examples"),
        ("transformers", "examples/huggingface/fine_tune.py", "--out new", "huggingface"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch, package, script, arguments, extra):
    """Regression: it ended in a traceback, or in a hook for all errors of whoever imported rdrop_tools."""
    hook = sys.excepthook
    write_files(tmp_path)
    for name in [package, *(name for name in sys.modules if name.startswith(f"{package}."))]:
        monkeypatch.setitem(sys.modules, name, None)
    assert call_here(script, "--help").code == 0
    install = f"source .venv/bin/activate, or pip install -e '.[{extra}]'\n"
    message = f"{package} is not installed here: in the clone, {install}"
    assert_refused(script, arguments.split(), message, tmp_path)
    assert sys.excepthook is hook


def test_what_a_new_process_misses(tmp_path):
    """The package is for Python 3.8 too, and installs the commands there: they ended in a TypeError."""
    (tmp_path / "checkpoint1.pt").touch()
    arguments = [tmp_path, tmp_path / "out.pt", "--count", "1"]
    average = "from rdrop_tools.training import average_checkpoints as script; script.command()"
    for code, message in (
        (f"sys.modules['fairseq'] = None; {average}", "fairseq is not installed here: "),
        ("sys.version_info = (3, 9); import rdrop_tools.cli", "the tools need Python 3.10 or newer"),
    ):
        result = run(sys.executable, "-c", f"import sys; {code}", *arguments, check=False)
        assert result.returncode == 1
        assert result.stdout.startswith(f"error: {message}")
        assert result.stdout.count("\n") == 1
