"""--rdrop-passes 1, and the time before --rdrop-start-update: cross entropy by our own loss."""

import pytest
import torch
from conftest import NO_DROPOUT, PLAIN, TRANSFORMER, Setup, check_gradients, check_log, gradients

pytest.importorskip("fairseq")

ONE = ["--rdrop-passes", "1"]
PATHS = pytest.mark.parametrize("path", ["fused", "plain"])


def sentences_encoded(setup):
    """Records the size of every batch that the encoder gets."""
    sizes = []
    setup.model.encoder.register_forward_pre_hook(
        lambda module, args, kwargs: sizes.append(len((args + tuple(kwargs.values()))[0])), with_kwargs=True
    )
    return sizes


@PATHS
def test_one_pass_is_the_plain_criterion(data_bin, model_device, path):
    """Loss, NLL and accuracy are its own to 1e-6, with dropout, whatever alpha; the batch is not repeated."""
    flags = [*TRANSFORMER, "--dropout", "0.3"]
    extra = ["--report-accuracy", "--ignore-prefix-size", "1", "--sentence-avg"]
    ours_only = [*ONE, "--rdrop-loss", path, "--rdrop-alpha", "1e30"]
    ours = Setup(data_bin, flags, extra=[*extra, *ours_only], device=model_device)
    sample = ours.uneven_batch()
    ours.choose(sample)
    sizes = sentences_encoded(ours)
    loss, sample_size, log, grads = ours.train_step(sample)
    assert sizes == [sample["target"].size(0)]
    expected = Setup(data_bin, flags, PLAIN, extra).train_step(sample, ours.model)
    torch.testing.assert_close(loss, expected[0], rtol=1e-6, atol=0)
    assert sample_size == expected[1]
    assert log.keys() == expected[2].keys()  # no rdrop_kl_loss, no rdrop_alpha
    check_log(log, expected[2])
    check_gradients(grads, expected[3], atol=1e-5)


@PATHS
@pytest.mark.parametrize("ties", [[], ["--share-all-embeddings"]], ids=["untied", "tied"])
def test_gradient_is_that_of_the_formula(data_bin, model_device, path, ties):
    """In float64 loss and gradient are those of the label-smoothed cross entropy as it is read.

    (The plain path is exact to float32, in which fairseq's models take their log-softmax.)
    """
    extra = [*ONE, "--rdrop-loss", path]
    ours = Setup(data_bin, [*TRANSFORMER, *NO_DROPOUT, *ties], extra=extra, device=model_device)
    ours.model.double()
    sample = ours.uneven_batch()
    loss, _, log, grads = ours.train_step(sample)

    ours.model.zero_grad()
    lprobs = ours.model(**sample["net_input"])[0].log_softmax(-1)
    real = sample["target"] != ours.criterion.padding_idx
    lprobs, target = lprobs[real], sample["target"][real]
    eps, num_classes = 0.1, lprobs.size(-1)
    wanted = torch.full_like(lprobs, eps / (num_classes - 1))  # the target's mass is 1 - eps
    wanted.scatter_(1, target.unsqueeze(1), 1 - eps)
    expected = -(wanted * lprobs).sum()
    expected.backward()
    digits = 1e-12 if path == "fused" else 1e-6
    nll = -lprobs.gather(1, target.unsqueeze(1)).sum()
    values = {"loss": float(loss), "nll_loss": log["nll_loss"]}
    check_log(values, {"loss": expected.detach(), "nll_loss": nll.detach()}, rtol=digits)
    check_gradients(grads, gradients(ours.model), rtol=10 * digits, atol=10 * digits)


@PATHS
def test_before_the_start_nothing_of_r_drop_is_at_work(data_bin, model_device, path):
    """The step is that of --rdrop-passes 1 counted for two passes, to the last digit, and logged as one.

    So no curve has a step where R-Drop starts. Rates, cutoff and alpha wait.
    """
    extra = ["--rdrop-loss", path, "--report-accuracy"]
    rdrop = "--rdrop-dropout 0.5,0.6 --rdrop-cutoff 0.4 --rdrop-alpha 9 --rdrop-warmup-updates 4"
    start = [*rdrop.split(), "--rdrop-start-update", "5"]
    early = Setup(data_bin, TRANSFORMER, extra=[*extra, *start], device=model_device)
    sample = early.batch()
    early.choose(sample)
    sizes = sentences_encoded(early)
    got = early.train_step(sample)
    assert sizes == [sample["target"].size(0)]
    expected = Setup(data_bin, TRANSFORMER, extra=[*extra, *ONE]).train_step(sample, early.model)
    assert got[0] == 2 * expected[0]
    assert got[1:3] == expected[1:3]
    doubled = {name: 2 * grad for name, grad in expected[3].items()}
    torch.testing.assert_close(got[3], doubled, rtol=0, atol=0)
    early.criterion.schedule.num_updates = 5
    assert early.train_step(sample)[2]["rdrop_kl_loss"] > 0
