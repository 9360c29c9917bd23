"""The import of the Trainer beside a torchaudio that is not whole."""

import sys

import pytest

pytest.importorskip("transformers", reason="needs pip install '.[huggingface]'")

from conftest import ROOT, run

CODE = """
import sys
import transformers
try:
    import rdrop_fairseq.huggingface
except ImportError as error:
    print(error)
assert "torchaudio" not in sys.modules
"""


def test_a_torchaudio_that_does_not_load_is_named(tmp_path):
    """Regression: the import set sys.modules["torchaudio"] to None, for whoever else wanted it."""
    (tmp_path / "torchaudio").mkdir()
    (tmp_path / "torchaudio" / "__init__.py").write_text("raise OSError('libc10_cuda.so: no such file')\n")
    result = run(sys.executable, "-c", CODE, PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert result.stdout == (
        "the Trainer of transformers imports torchaudio, which does not load here "
        "(libc10_cuda.so: no such file): pip uninstall torchaudio, or install the build of it that fits "
        "this torch\n"
    )
