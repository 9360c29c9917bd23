"""fairseq-train and fairseq-hydra-train with flags or a task that cannot be right, as a user meets them."""

import pytest
import torch
from conftest import NO_DROPOUT
from training import hydra_train, train

pytest.importorskip("fairseq")

from fairseq.criterions import FairseqCriterion
from fairseq.tasks import register_task
from fairseq.tasks.translation import TranslationConfig, TranslationTask

NO_NOISE = "error: --rdrop-dropout needs a model with dropout: set --dropout above 0"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--rdrop-alpha -1", "error: --rdrop-alpha must be a finite number >= 0, got -1.0"),
        ("--rdrop-dropout 0.1,0.2", NO_NOISE),
        ("--rdrop-dropout 0.1,0.2 --distributed-world-size 2 --distributed-backend gloo", NO_NOISE),
    ],
)
def test_bad_values_end_with_one_line(data_bin, tmp_path, monkeypatch, flags, message):
    """The program ends with it, with a process for each of two GPUs too; test_criterion.py has more of them.

    Regression: what only the model contradicts was a traceback, and left a checkpoint crash.pt.
    """
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)  # as far as fairseq starts processes
    with pytest.raises(SystemExit) as end:
        train(data_bin, tmp_path, *NO_DROPOUT, "--ddp-backend", "legacy_ddp", *flags.split())
    assert end.value.code == message
    assert not list(tmp_path.glob("*.pt"))


def test_hydra_ends_with_one_line(data_bin, tmp_path):
    """It prints a traceback of its own for any other exception."""
    result = hydra_train(data_bin, tmp_path, "+model.dropout=0", check=False)
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


@register_task("by_compute_loss", dataclass=TranslationConfig)
class ByComputeLoss(TranslationTask):
    """As fairseq's translation_moe makes its loss: without the criterion's forward."""

    def train_step(self, sample, model, criterion, optimizer, update_num, ignore_grad=False):
        model.train()
        loss, _ = criterion.compute_loss(model, model(**sample["net_input"]), sample, reduce=False)
        loss = loss.sum()
        optimizer.backward(loss)
        log = {"loss": loss.data, "ntokens": sample["ntokens"], "sample_size": sample["ntokens"]}
        return loss, sample["ntokens"], {**log, "nsentences": sample["target"].size(0)}


def test_a_task_that_calls_compute_loss_does_not_train_without_r_drop(data_bin, tmp_path):
    """Regression: it trained plainly, at any alpha and number of passes, and nothing said so."""
    flags = ["--task", "by_compute_loss", "--max-update", "2"]
    with pytest.raises(SystemExit) as end:
        train(data_bin, tmp_path, *flags)
    assert end.value.code == (
        "error: the task by_compute_loss calls compute_loss and not the criterion: R-Drop would not be "
        "applied; train it with --criterion label_smoothed_cross_entropy, or --rdrop-passes 1"
    )
    assert not list(tmp_path.rglob("*.pt"))
    assert '"valid_loss"' in train(data_bin, tmp_path, *flags, "--rdrop-passes", "1")
