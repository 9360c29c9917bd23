"""fairseq-train and fairseq-hydra-train with flags that cannot be right, as a user meets them."""

import sys

import pytest
from conftest import NO_DROPOUT, TRANSFORMER, run
from training import OPTIONS, PLUGIN, RDROP, hydra_train, train

pytest.importorskip("fairseq")

from fairseq.criterions import FairseqCriterion

NO_NOISE = "error: --rdrop-dropout needs a model with dropout: set --dropout above 0"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--rdrop-alpha -1", "error: --rdrop-alpha must be a finite number >= 0, got -1.0"),
        ("--rdrop-dropout 0.1,0.2 --dropout 0", NO_NOISE),
    ],
)
def test_bad_values_end_with_one_line(data_bin, tmp_path, flags, message):
    """The program ends with it; test_criterion.py has more of them.

    Regression: what only the model contradicts was a traceback, and left a checkpoint crash.pt.
    """
    with pytest.raises(SystemExit) as end:
        train(data_bin, tmp_path, *flags.split())
    assert end.value.code == message
    assert not list(tmp_path.glob("*.pt"))


# fairseq starts a process for each GPU; a machine without them can pretend to have two.
PRETEND = (
    "import torch; torch.cuda.device_count = lambda: 2; from fairseq_cli.train import cli_main; cli_main()"
)


@pytest.mark.parametrize("starter", ["two processes", "hydra"])
def test_the_last_line_says_it(data_bin, tmp_path, starter):
    """Regression: torch's traceback stood around the line. Hydra prints one for any other exception."""
    if starter == "hydra":
        result = hydra_train(data_bin, tmp_path, "+model.dropout=0", check=False)
    else:
        command = [sys.executable, "-c", PRETEND, data_bin, *PLUGIN, *TRANSFORMER, *OPTIONS, *RDROP]
        command += ["--distributed-world-size", "2", "--distributed-init-method", f"file://{tmp_path}/port"]
        command += "--distributed-backend gloo --cpu --ddp-backend legacy_ddp --save-dir".split()
        result = run(*command, tmp_path, *NO_DROPOUT, "--rdrop-dropout", "0.1,0.2", check=False)
    assert result.returncode != 0
    assert result.stdout.splitlines()[-1] == NO_NOISE
    assert "Traceback" not in result.stdout
    assert not list(tmp_path.rglob("*.pt"))


def test_an_error_of_the_host_stays_what_it_is(data_bin, tmp_path, monkeypatch):
    """Regression: the first word of any ValueError while the criterion was built became a flag."""

    def build_criterion(cls, cfg, task):
        raise ValueError("anything at all")

    monkeypatch.setattr(FairseqCriterion, "build_criterion", classmethod(build_criterion))
    with pytest.raises(ValueError, match=r"^anything at all$"):
        train(data_bin, tmp_path)
