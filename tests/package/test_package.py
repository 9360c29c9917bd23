"""The package before fairseq is imported, and without it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import rdrop_fairseq


def python(*arguments, **options):
    options = {"stdout": subprocess.PIPE, "text": True, "check": True, **options}
    return subprocess.run([sys.executable, *arguments], **options).stdout


def test_module_prints_the_user_dir_and_nothing_else(tmp_path):
    """``python -m rdrop_fairseq`` can stand where --user-dir wants a folder."""
    out = python("-m", "rdrop_fairseq", cwd=tmp_path)
    assert out == f"{Path(rdrop_fairseq.__file__).parent}\n"


def test_import_without_fairseq():
    """The losses work where importing fairseq raises, as if it were not installed."""
    code = (
        "import sys; sys.modules['fairseq'] = None; sys.path.insert(0, sys.argv[1])\n"
        "import rdrop_fairseq, torch\n"
        "print(rdrop_fairseq.rdrop_loss(torch.zeros(4, 3), torch.tensor([0, 1]), alpha=1.0).kl_loss.item())"
    )
    assert python("-c", code, str(Path(rdrop_fairseq.__file__).parent.parent)) == "0.0\n"


def test_importing_the_losses_does_not_import_fairseq():
    """The losses do without the seconds that its import takes."""
    code = "import rdrop_fairseq, sys; print('fairseq' in sys.modules)"
    assert python("-c", code) == "False\n"


@pytest.mark.parametrize(
    "imports",
    [
        "import fairseq, rdrop_fairseq",
        "import importlib.util as u, rdrop_fairseq; u.find_spec('fairseq'); from fairseq_cli import train",
        "import rdrop_fairseq; rdrop_fairseq.register(); rdrop_fairseq.register()",
        "import rdrop_fairseq.repairs",
        "",
    ],
)
def test_any_order_of_imports_registers_the_criterion(imports):
    """Regression: rdrop_fairseq imported first left fairseq-train, in that process, with 'invalid choice'."""
    pytest.importorskip("fairseq")
    code = f"""
import sys
{imports}
from fairseq import criterions, options
name = "label_smoothed_cross_entropy_rdrop"
assert (name in criterions.CRITERION_REGISTRY) == {"import fairseq" in imports or "register" in imports}
user_dir = ["--user-dir", sys.argv[1]]
parser = options.get_training_parser()
args = options.parse_args_and_arch(parser, ["data", *user_dir, "--criterion", name, "--arch", "transformer"])
assert criterions.CRITERION_REGISTRY[name].__module__ == "rdrop_fairseq." + name
print(args.rdrop_alpha)
"""
    assert python("-c", code, str(Path(rdrop_fairseq.__file__).parent)).splitlines()[-1] == "5.0"


def test_the_package_leaves_python_s_imports_alone():
    """Regression: it changed how fairseq is imported, in every program that uses the losses."""
    code = "import sys; before = [*sys.meta_path]; import rdrop_fairseq; print(sys.meta_path == before)"
    assert python("-c", code) == "True\n"


@pytest.mark.parametrize("repairs", ["", "none"])
def test_repairs_are_made_when_fairseq_loads_the_plugin(repairs):
    """Neither the losses nor RDROP_REPAIRS=none change anything of fairseq or torch; the log has one line."""
    pytest.importorskip("fairseq")
    code = """
import logging
import rdrop_fairseq
from fairseq.tasks.translation import TranslationTask
own = TranslationTask.reduce_metrics
logging.basicConfig(level="INFO", format="%(message)s")
rdrop_fairseq.register()
print(TranslationTask.reduce_metrics is own)
"""
    options = {"env": {**os.environ, "RDROP_REPAIRS": repairs}, "stderr": subprocess.STDOUT}
    *_, line, unchanged = python("-c", code, **options).splitlines()
    assert "R-Drop: " in line
    assert "RDROP_REPAIRS=none" in line
    assert unchanged == str(repairs == "none")
