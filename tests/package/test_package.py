"""The package before fairseq is imported, and without it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import rdrop_fairseq

USER_DIR = str(Path(rdrop_fairseq.__file__).parent)


def python(*arguments, **options):
    options = {"stdout": subprocess.PIPE, "text": True, "check": True, **options}
    return subprocess.run([sys.executable, *arguments], **options).stdout


def test_module_prints_the_user_dir_and_nothing_else(tmp_path):
    """``python -m rdrop_fairseq`` can stand where --user-dir wants a folder."""
    assert python("-m", "rdrop_fairseq", cwd=tmp_path) == f"{USER_DIR}\n"


def test_the_losses_do_without_fairseq():
    """They work where it is not installed, and spare the seconds of its import where it is.

    Regression: the package changed how fairseq is imported, in every program that uses the losses.
    """
    code = """
import sys
before = [*sys.meta_path]
sys.path.insert(0, sys.argv[1])
import rdrop_fairseq, torch
kl = rdrop_fairseq.rdrop_loss(torch.zeros(4, 3), torch.tensor([0, 1]), alpha=1.0).kl_loss
print(kl.item(), "fairseq" in sys.modules, sys.meta_path == before)
"""
    assert python("-c", code, str(Path(USER_DIR).parent)) == "0.0 False True\n"


@pytest.mark.parametrize(
    ("imports", "registered"),
    [
        ("import fairseq, rdrop_fairseq", True),
        ("import rdrop_fairseq; rdrop_fairseq.register(); rdrop_fairseq.register()", True),
        ("import rdrop_fairseq, rdrop_fairseq.repairs; from fairseq_cli import train", False),
    ],
)
def test_any_order_of_imports_registers_the_criterion(imports, registered):
    """A --user-dir does, if nothing has before.

    Regression: rdrop_fairseq imported first left fairseq-train, in that process, with 'invalid choice'.
    """
    pytest.importorskip("fairseq")
    code = f"""
import sys
{imports}
from fairseq import criterions, options
name = "label_smoothed_cross_entropy_rdrop"
assert (name in criterions.CRITERION_REGISTRY) == {registered}
user_dir = ["--user-dir", sys.argv[1]]
parser = options.get_training_parser()
args = options.parse_args_and_arch(parser, ["data", *user_dir, "--criterion", name, "--arch", "transformer"])
assert criterions.CRITERION_REGISTRY[name].__module__ == "rdrop_fairseq." + name
print(args.rdrop_alpha)
"""
    assert python("-c", code, USER_DIR).splitlines()[-1] == "5.0"


def test_repairs_may_be_left_out():
    """Neither then nor by the import of the losses anything of fairseq is changed."""
    pytest.importorskip("fairseq")
    code = """
import logging
import rdrop_fairseq
from fairseq.tasks.translation import TranslationTask
own = TranslationTask.reduce_metrics
logging.basicConfig(level="INFO", format="%(message)s")
rdrop_fairseq.register()
print(TranslationTask.reduce_metrics is own and not hasattr(own, "__wrapped__"))
"""
    options = {"env": {**os.environ, "RDROP_REPAIRS": "none"}, "stderr": subprocess.STDOUT}
    log = python("-c", code, **options)
    assert log.endswith("R-Drop: nothing of fairseq is repaired, as RDROP_REPAIRS=none says\nTrue\n")
