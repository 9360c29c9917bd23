"""What the package does before and without fairseq."""

import subprocess
import sys
from pathlib import Path

import rdrop_fairseq


def python(*arguments, **options):
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=True, **options
    ).stdout


def test_module_prints_the_user_dir_and_nothing_else(tmp_path):
    out = python("-m", "rdrop_fairseq", cwd=tmp_path)
    assert out == f"{Path(rdrop_fairseq.__file__).parent}\n"


def test_import_without_fairseq():
    """As where fairseq is not installed: importing it raises."""
    code = (
        "import sys; sys.modules['fairseq'] = None; sys.path.insert(0, sys.argv[1])\n"
        "import rdrop_fairseq, torch\n"
        "print(rdrop_fairseq.rdrop_loss(torch.zeros(4, 3), torch.tensor([0, 1]), alpha=1.0).kl_loss.item())"
    )
    assert python("-c", code, str(Path(rdrop_fairseq.__file__).parent.parent)) == "0.0\n"


def test_importing_the_losses_does_not_import_fairseq():
    code = "import rdrop_fairseq, sys; print('fairseq' in sys.modules)"
    assert python("-c", code) == "False\n"
