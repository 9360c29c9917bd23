"""fairseq-train with flags that cannot be right, as a user meets them."""

import pytest
from conftest import run
from training import PLUGIN, RDROP, RECIPE

pytest.importorskip("fairseq")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--rdrop-alpha -1", "error: --rdrop-alpha must be a finite number >= 0, got -1.0"),
        (
            "--rdrop-dropout 0.1,0.2 --dropout 0",
            "error: --rdrop-dropout needs a model with dropout: set --dropout above 0",
        ),
    ],
)
def test_bad_values_end_with_one_line(data_bin, tmp_path, flags, message):
    """The last line says what is wrong; test_criterion.py has more of them.

    Regression: what only the model contradicts was a traceback, and left a checkpoint crash.pt.
    """
    command = ["fairseq-train", data_bin, *PLUGIN, *RECIPE, *RDROP, "--save-dir", tmp_path, *flags.split()]
    result = run(*command, check=False)
    assert result.returncode != 0
    lines = result.stdout.strip().splitlines()
    assert message == lines[-1]
    assert "Traceback" not in result.stdout
    assert not list(tmp_path.glob("*.pt"))
