"""fairseq-train with flags that cannot be right, as a user meets them."""

import sys

import pytest
from conftest import NO_DROPOUT, USER_DIR, run
from test_cli import HYDRA_CONFIG
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


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("criterion.rdrop_alpha=-1", "error: --rdrop-alpha must be a finite number >= 0, got -1.0"),
        ("+model.dropout=0", "error: --rdrop-dropout needs a model with dropout: set --dropout above 0"),
    ],
)
def test_hydra_ends_with_one_line(data_bin, tmp_path, setting, message):
    """It prints a traceback of its own for any other exception."""
    config = HYDRA_CONFIG.format(user_dir=USER_DIR, data=data_bin, save_dir=tmp_path / "checkpoints")
    (tmp_path / "tiny.yaml").write_text(config)
    command = ["fairseq-hydra-train", "--config-dir", tmp_path, "--config-name", "tiny", setting]
    # No buffer: its thread, at work when the training ends at once, can abort the interpreter.
    result = run(*command, "dataset.data_buffer_size=0", f"hydra.run.dir={tmp_path}", check=False)
    assert result.returncode != 0
    assert result.stdout.splitlines()[-1] == message
    assert "Traceback" not in result.stdout
    assert not list(tmp_path.rglob("*.pt"))


# fairseq starts a process for each GPU; a machine without them can pretend to have two.
PRETEND = (
    "import torch; torch.cuda.device_count = lambda: 2; from fairseq_cli.train import cli_main; cli_main()"
)


def test_processes_that_fairseq_starts_end_with_one_line(data_bin, tmp_path):
    """Regression: torch's traceback stood around the line."""
    port = tmp_path / "port"
    flags = ["--distributed-world-size", "2", "--distributed-init-method", f"file://{port}"]
    flags += [
        "--distributed-backend",
        "gloo",
        "--cpu",
        "--ddp-backend",
        "legacy_ddp",
        "--save-dir",
        tmp_path,
        *NO_DROPOUT,
    ]
    flags += ["--rdrop-dropout", "0.1,0.2"]
    code = [sys.executable, "-c", PRETEND]
    result = run(*code, data_bin, *PLUGIN, *RECIPE, *RDROP, *flags, check=False)
    assert result.returncode != 0
    assert result.stdout.splitlines()[-1] == (
        "error: --rdrop-dropout needs a model with dropout: set --dropout above 0"
    )
    assert "Traceback" not in result.stdout
    assert not list(tmp_path.glob("*.pt"))


def test_an_error_of_the_host_keeps_its_traceback(data_bin, tmp_path):
    """Regression: the first word of any ValueError while the criterion was built became a flag."""
    code = """
from fairseq.criterions import FairseqCriterion
def build_criterion(cls, cfg, task):
    raise ValueError("anything at all")
FairseqCriterion.build_criterion = classmethod(build_criterion)
from fairseq_cli.train import cli_main
cli_main()
"""
    command = [sys.executable, "-c", code, data_bin, *PLUGIN, *RECIPE, *RDROP, "--save-dir", tmp_path]
    lines = run(*command, check=False).stdout.splitlines()
    assert lines[-1] == "ValueError: anything at all"
    assert "Traceback (most recent call last):" in lines
