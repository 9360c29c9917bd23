"""The package before fairseq is imported, and without it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import rdrop_fairseq


def python(*arguments, **options):
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=True, **options
    ).stdout


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
        "import rdrop_fairseq.checkpoint_safety",
    ],
)
def test_any_order_of_imports_registers_the_criterion(imports):
    """Regression: rdrop_fairseq imported first left fairseq-train, in that process, with 'invalid choice'."""
    pytest.importorskip("fairseq")
    code = f"""
import sys
{imports}
from fairseq import criterions, options
from fairseq.utils import import_user_module
name = "label_smoothed_cross_entropy_rdrop"
assert name in criterions.CRITERION_REGISTRY
user_dir = ["--user-dir", sys.argv[1]]
parser = options.get_training_parser()
args = options.parse_args_and_arch(parser, ["data", *user_dir, "--criterion", name, "--arch", "transformer"])
assert criterions.CRITERION_REGISTRY[name].__module__ == "rdrop_fairseq." + name
assert not [finder for finder in sys.meta_path if type(finder).__module__.startswith("rdrop_fairseq")]
print(args.rdrop_alpha)
"""
    assert python("-c", code, str(Path(rdrop_fairseq.__file__).parent)).splitlines()[-1] == "5.0"


def test_without_fairseq_its_import_fails_as_ever(tmp_path):
    """Python says what it says without this package, which waits for fairseq's import."""
    code = """
import rdrop_fairseq, sys
sys.path = [entry for entry in sys.path if "site-packages" not in entry and entry]
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder)]
try:
    import fairseq
except ModuleNotFoundError as error:
    print(error)
"""
    assert python("-c", code, cwd=tmp_path) == "No module named 'fairseq'\n"
