"""The criterion inside fairseq's tasks and models."""

import copy
import re

import pytest
import torch
from conftest import MODELS, NO_DROPOUT, PLAIN, TRANSFORMER, Setup

pytest.importorskip("fairseq")


ADAPTIVE_SOFTMAX = [*TRANSFORMER, "--adaptive-softmax-cutoff", "10,20"]


@pytest.mark.parametrize("name", MODELS)
def test_models(model_data, model_device, name):
    """One training step, the same on both paths where both can serve, and a validation step."""
    flags, can_fuse = MODELS[name]
    auto, plain = (
        Setup(
            model_data, flags.split(), extra=["--report-accuracy", "--rdrop-loss", path], device=model_device
        )
        for path in ("auto", "plain")
    )
    sample = auto.batch()
    before = copy.deepcopy(sample)
    assert (auto.criterion.objective.projection(auto.model)[0] is not None) == can_fuse

    loss, sample_size, log, grads = auto.train_step(sample)
    assert log["rdrop_kl_loss"] > 0
    assert sample_size == sample["ntokens"] == log["ntokens"]
    expected = plain.train_step(sample, auto.model)
    torch.testing.assert_close(loss, expected[0])
    assert grads.keys() == expected[3].keys()
    for key, grad in grads.items():
        torch.testing.assert_close(grad, expected[3][key], rtol=1e-4, atol=1e-4, msg=key)
    for key in ("loss", "nll_loss", "rdrop_kl_loss", "n_correct", "total"):
        torch.testing.assert_close(float(log[key]), float(expected[2][key]), rtol=1e-4, atol=1e-4)

    theirs = Setup(model_data, flags.split(), PLAIN, ["--report-accuracy"]).valid_step(sample, auto.model)
    assert auto.valid_step(sample)[1:] == theirs[1:]  # to the last digit
    torch.testing.assert_close(sample, before, rtol=0, atol=0)  # not modified by either step


@pytest.mark.parametrize("path", ["fused", "plain"])
@pytest.mark.parametrize("passes", [2, 3])
def test_without_dropout_the_gradient_is_passes_times_the_plain_one(data_bin, model_device, path, passes):
    flags = [*TRANSFORMER, *NO_DROPOUT]
    extra = ["--rdrop-loss", path, "--rdrop-passes", str(passes)]
    ours = Setup(data_bin, flags, extra=extra, device=model_device)
    sample = ours.batch()
    loss, sample_size, log, grads = ours.train_step(sample)
    plain = Setup(data_bin, flags, PLAIN).train_step(sample, ours.model)
    assert sample_size == plain[1]
    assert log["rdrop_kl_loss"].abs() < 1e-3
    torch.testing.assert_close(loss, passes * plain[0])
    for key in ("loss", "nll_loss"):
        torch.testing.assert_close(log[key], plain[2][key])
    for key, grad in grads.items():
        torch.testing.assert_close(grad, passes * plain[3][key], rtol=1e-4, atol=1e-4, msg=key)


@pytest.mark.parametrize("path", ["fused", "plain"])
def test_padded_batch_is_the_sum_of_its_sentences(data_bin, path):
    ours = Setup(data_bin, [*TRANSFORMER, *NO_DROPOUT], extra=["--rdrop-loss", path])
    ours.task.load_dataset("train")
    dataset = ours.task.dataset("train")
    items = [dataset[i] for i in range(8)]
    lengths = {len(item["target"]) for item in items}
    assert len(lengths) > 1  # so that some sentence is padded
    together = ours.train_step(dataset.collater(items))
    singles = [ours.train_step(dataset.collater([item])) for item in items]
    torch.testing.assert_close(together[0], sum(single[0] for single in singles))
    for key, grad in together[3].items():
        total = sum(single[3][key] for single in singles)
        torch.testing.assert_close(grad, total, rtol=1e-4, atol=1e-4, msg=key)


@pytest.mark.parametrize("path", ["fused", "plain"])
def test_ignored_prefix_and_sentence_average(data_bin, path):
    extra = ["--ignore-prefix-size", "1", "--sentence-avg", "--report-accuracy"]
    flags = [*TRANSFORMER, *NO_DROPOUT]
    ours = Setup(data_bin, flags, extra=[*extra, "--rdrop-loss", path])
    sample = ours.batch()
    loss, sample_size, log, _ = ours.train_step(sample)
    plain = Setup(data_bin, flags, PLAIN, extra).train_step(sample, ours.model)
    assert sample_size == plain[1] == sample["target"].size(0)
    torch.testing.assert_close(loss, 2 * plain[0])
    assert log["total"] == 2 * plain[2]["total"]
    assert log["n_correct"] == 2 * plain[2]["n_correct"]


def test_mean_reduction_is_half_of_sum_with_half_the_alpha(data_bin):
    runs = [
        Setup(data_bin, TRANSFORMER, extra=["--rdrop-ce-reduction", name, "--rdrop-alpha", alpha])
        for name, alpha in (("sum", "5"), ("mean", "2.5"))
    ]
    sample = runs[0].batch()
    by_sum, by_mean = (run.train_step(sample, runs[0].model) for run in runs)
    torch.testing.assert_close(by_sum[0], 2 * by_mean[0])
    torch.testing.assert_close(by_sum[2]["loss"], by_mean[2]["loss"])


@pytest.mark.parametrize("path", ["fused", "plain"])
def test_loss_may_be_multiplied_in_place(data_bin, path):
    """fairseq does so on a process without a batch: training on several ended with the first epoch."""
    ours = Setup(data_bin, TRANSFORMER, extra=["--rdrop-loss", path])
    ours.model.train()
    loss, _, log = ours.criterion(ours.model, ours.batch())
    before = float(log["loss"])
    loss *= 0
    loss.backward()
    assert all(p.grad.eq(0).all() for p in ours.model.parameters() if p.grad is not None)
    assert float(log["loss"]) == before > 0


def test_unreduced_loss_sums_to_the_reduced_one(data_bin):
    ours = Setup(data_bin, TRANSFORMER)
    sample = ours.batch()
    ours.model.train()
    losses = []
    for reduce in (True, False):
        torch.manual_seed(3)
        losses.append(ours.criterion(ours.model, sample, reduce=reduce)[0])
    assert losses[1].shape == sample["target"].shape
    torch.testing.assert_close(losses[1].sum(), losses[0])


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("--rdrop-passes", "0", "--rdrop-passes must be an integer >= 1, got 0"),
        ("--rdrop-chunk-size", "-1", "--rdrop-chunk-size must be >= 0, got -1"),
        ("--rdrop-dropout", "0.1", "--rdrop-dropout must have one rate per pass (2), got 0.1"),
        ("--rdrop-dropout", "0.1,1", "--rdrop-dropout must have rates in [0, 1), got 0.1, 1.0"),
        ("--rdrop-cutoff", "1", "--rdrop-cutoff must be in [0, 1), got 1.0"),
        ("--rdrop-cutoff", "-0.1", "--rdrop-cutoff must be in [0, 1), got -0.1"),
        ("--rdrop-cutoff", "nan", "--rdrop-cutoff must be in [0, 1), got nan"),
        ("--rdrop-interval", "0", "--rdrop-interval must be an integer >= 1, got 0"),
        ("--rdrop-start-update", "-1", "--rdrop-start-update must be >= 0, got -1"),
        ("--rdrop-warmup-updates", "-1", "--rdrop-warmup-updates must be >= 0, got -1"),
        ("--label-smoothing", "1.5", "--label-smoothing must be in [0, 1), got 1.5"),
    ],
)
def test_bad_flags_end_with_one_line(data_bin, flag, value, message):
    """As the command line ends: SystemExit prints its message and nothing else. test_cli has the rest."""
    with pytest.raises(SystemExit) as end:
        Setup(data_bin, TRANSFORMER, extra=[flag, value])
    assert end.value.code == f"error: {message}"


LSTM_SHARED = MODELS["lstm_shared"][0].split()
RATES = ["--rdrop-dropout", "0.3,0.5"]


@pytest.mark.parametrize(
    ("flags", "extra", "message"),
    [
        (
            LSTM_SHARED,
            ["--rdrop-loss", "fused"],
            "--rdrop-loss fused: .* no plain output projection; use auto",
        ),
        (
            LSTM_SHARED,
            ["--rdrop-forward", "concat"],
            "--rdrop-forward concat: the LSTM .* sorted by length; use",
        ),
        (
            [*TRANSFORMER, "--decoder-layerdrop", "0.1"],
            ["--rdrop-forward", "concat"],
            "concat: LayerDrop drops",
        ),
        (
            [*TRANSFORMER, *NO_DROPOUT],
            RATES,
            "--rdrop-dropout needs a model with dropout: set --dropout above 0",
        ),
        (
            [*TRANSFORMER, "--checkpoint-activations"],
            [*RATES, "--rdrop-start-update", "9"],
            "--rdrop-dropout cannot be combined with --checkpoint-activations",
        ),
        (ADAPTIVE_SOFTMAX, [], "cannot train an adaptive softmax .*: leave out --adaptive-softmax-cutoff"),
        (ADAPTIVE_SOFTMAX, ["--rdrop-passes", "1"], "cannot train an adaptive softmax"),
    ],
)
def test_what_the_model_cannot_do_ends_the_first_step_with_one_line(data_bin, flags, extra, message):
    """It was a traceback, and the host's checkpoint crash.pt, in the first step or at the start update."""
    ours = Setup(data_bin, flags, extra=extra)
    sample = ours.batch()
    called = []
    ours.model.encoder.register_forward_pre_hook(lambda *_: called.append(1))
    with pytest.raises(SystemExit) as end:
        ours.train_step(sample)
    assert re.match(f"error: .*{message}", end.value.code)
    assert "\n" not in end.value.code
    assert not called  # nothing was computed


def test_flags_that_contradict_each_other_end_with_one_line(data_bin):
    for extra, message in (
        ([*RATES, "--rdrop-forward", "concat"], "--rdrop-dropout needs --rdrop-forward separate"),
    ):
        with pytest.raises(SystemExit) as end:
            Setup(data_bin, TRANSFORMER, extra=extra)
        assert end.value.code.startswith(f"error: {message}")


def test_a_tensor_that_is_not_of_the_batch_is_refused(data_bin):
    """In one line, where a repetition is asked for."""
    ours = Setup(data_bin, TRANSFORMER, extra=["--rdrop-forward", "concat"])
    sample = ours.batch()
    sample["net_input"]["extra"] = {"table": torch.zeros(3)}
    with pytest.raises(SystemExit, match=r"concat: cannot repeat net_input\['extra'\]\['table'\].* is 3"):
        ours.train_step(sample)


def test_adaptive_softmax_does_what_the_plain_criterion_does(data_bin):
    """fairseq's adaptive softmax changes in place what its backward needs: it validates, but cannot train,
    which we say in one line."""
    ours, plain = Setup(data_bin, ADAPTIVE_SOFTMAX), Setup(data_bin, ADAPTIVE_SOFTMAX, PLAIN)
    sample = ours.batch()
    assert ours.criterion.objective.projection(ours.model)[0] is None
    assert ours.valid_step(sample)[1:] == plain.valid_step(sample, ours.model)[1:]
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        plain.train_step(sample, ours.model)
    with pytest.raises(SystemExit, match="cannot train an adaptive softmax"):
        ours.train_step(sample)
