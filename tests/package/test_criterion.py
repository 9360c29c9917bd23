"""The criterion inside fairseq's tasks and models."""

import copy
import math
import re

import pytest
import torch
from conftest import MODELS, NO_DROPOUT, PLAIN, TRANSFORMER, Setup, check_gradients, check_log

pytest.importorskip("fairseq")

from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.logging import metrics

from rdrop_fairseq.errors import RDropError

PATHS = pytest.mark.parametrize("path", ["fused", "plain"])
ADAPTIVE_SOFTMAX = [*TRANSFORMER, "--adaptive-softmax-cutoff", "10,20"]


PREFIX = "--ignore-prefix-size 1 --sentence-avg"
EVERYTHING = "--rdrop-forward separate --rdrop-passes 3 --rdrop-dropout 0.1,0.2,0.3 --rdrop-warmup-updates 4"


@pytest.mark.parametrize("flags", ["", f"{EVERYTHING} {PREFIX}"], ids=["default", "everything"])
@pytest.mark.parametrize("name", MODELS)
def test_models(model_data, model_device, name, flags):
    """Both paths have the same training step, where both can serve; validation is the plain criterion's."""
    model_flags, can_fuse = MODELS[name]
    extra = [*flags.split(), "--report-accuracy", "--rdrop-loss"]
    auto, plain = (
        Setup(model_data, model_flags.split(), extra=[*extra, path], device=model_device)
        for path in ("auto", "plain")
    )
    auto.criterion.schedule.num_updates = plain.criterion.schedule.num_updates = 3  # in the warm-up
    sample = auto.batch()
    before = copy.deepcopy(sample)

    loss, sample_size, log, grads = auto.train_step(sample)
    assert auto.fuses() == can_fuse
    assert log["rdrop_kl_loss"] > 0
    assert sample_size == (sample["target"].size(0) if flags else sample["ntokens"])
    expected = plain.train_step(sample, auto.model)
    torch.testing.assert_close(loss, expected[0])
    check_gradients(grads, expected[3])
    check_log(log, expected[2], rtol=1e-4, atol=1e-4)

    shared = [*PREFIX.split() * bool(flags), "--report-accuracy"]
    theirs = Setup(model_data, model_flags.split(), PLAIN, shared).valid_step(sample, auto.model)
    assert auto.valid_step(sample)[1:] == theirs[1:]  # to the last digit
    torch.testing.assert_close(sample, before, rtol=0, atol=0)  # not modified by either step


@PATHS
@pytest.mark.parametrize(("passes", "flags"), [(2, ""), (3, PREFIX)])
def test_without_dropout_the_gradient_is_passes_times_the_plain_one(
    data_bin, model_device, path, passes, flags
):
    """The loss too; what is logged is the plain criterion's, with a KL of nearly 0."""
    model, extra = [*TRANSFORMER, *NO_DROPOUT], ["--report-accuracy", *flags.split()]
    rdrop = ["--rdrop-loss", path, "--rdrop-passes", str(passes)]
    ours = Setup(data_bin, model, extra=[*extra, *rdrop], device=model_device)
    sample = ours.batch()
    loss, sample_size, log, grads = ours.train_step(sample)
    plain = Setup(data_bin, model, PLAIN, extra).train_step(sample, ours.model)
    assert sample_size == plain[1] == (sample["target"].size(0) if flags else sample["ntokens"])
    assert log["rdrop_kl_loss"].abs() < 1e-3
    torch.testing.assert_close(loss, passes * plain[0])
    for key in ("loss", "nll_loss"):
        torch.testing.assert_close(log[key], plain[2][key])
    for key in ("total", "n_correct"):
        assert log[key] == passes * plain[2][key]
    check_gradients(grads, {name: passes * grad for name, grad in plain[3].items()})


@PATHS
def test_padded_batch_is_the_sum_of_its_sentences(data_bin, path):
    ours = Setup(data_bin, [*TRANSFORMER, *NO_DROPOUT], extra=["--rdrop-loss", path])
    together = ours.train_step(ours.uneven_batch())
    dataset = ours.task.dataset("train")
    singles = [ours.train_step(dataset.collater([dataset[i]])) for i in range(8)]
    torch.testing.assert_close(together[0], sum(single[0] for single in singles))
    total = {name: sum(single[3][name] for single in singles) for name in together[3]}
    check_gradients(together[3], total)


def test_mean_reduction_is_half_of_sum_with_half_the_alpha(data_bin):
    runs = [
        Setup(data_bin, TRANSFORMER, extra=["--rdrop-ce-reduction", name, "--rdrop-alpha", alpha])
        for name, alpha in (("sum", "5"), ("mean", "2.5"))
    ]
    sample = runs[0].batch()
    by_sum, by_mean = (run.train_step(sample, runs[0].model) for run in runs)
    torch.testing.assert_close(by_sum[0], 2 * by_mean[0])
    torch.testing.assert_close(by_sum[2]["loss"], by_mean[2]["loss"])


@PATHS
def test_loss_may_be_multiplied_in_place(data_bin, path):
    """Regression: fairseq does so on a process without a batch, which ended the training of several."""
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


def test_a_training_s_configuration_has_every_flag(data_bin):
    """The criterion is the same by the flags and by what Hydra makes of them."""
    flags = f"{EVERYTHING} --rdrop-alpha 3 --rdrop-cutoff 0.1 --rdrop-interval 2 --rdrop-start-update 4"
    flags += " --rdrop-ce-reduction mean --rdrop-loss plain --rdrop-chunk-size 7"
    setup = Setup(data_bin, TRANSFORMER, extra=flags.split())
    configured = setup.task.build_criterion(convert_namespace_to_omegaconf(setup.args).criterion)
    configured.schedule.num_updates = setup.criterion.schedule.num_updates
    for part in ("schedule", "passes", "objective"):
        assert vars(getattr(configured, part)) == vars(getattr(setup.criterion, part))


LSTM_SHARED = MODELS["lstm_shared"][0].split()
RATES = "--rdrop-dropout 0.3,0.5"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--rdrop-alpha nan", "--rdrop-alpha must be a finite number >= 0, got nan"),
        ("--rdrop-passes 0", "--rdrop-passes must be an integer >= 1, got 0"),
        ("--rdrop-chunk-size -1", "--rdrop-chunk-size must be >= 0, got -1"),
        ("--rdrop-dropout 0.1", "--rdrop-dropout must have one rate per pass (2), got 0.1"),
        ("--rdrop-dropout 0.1,1", "--rdrop-dropout must have rates in [0, 1), got 0.1, 1.0"),
        (
            f"{RATES} --rdrop-forward concat",
            "--rdrop-dropout needs --rdrop-forward separate (or auto): one forward has one rate",
        ),
        ("--rdrop-cutoff 1", "--rdrop-cutoff must be in [0, 1), got 1.0"),
        ("--rdrop-start-update -1", "--rdrop-start-update must be >= 0, got -1"),
        ("--rdrop-interval 0", "--rdrop-interval must be an integer >= 1, got 0"),
        ("--label-smoothing 1.5", "--label-smoothing must be in [0, 1), got 1.5"),
    ],
)
def test_bad_flags_end_with_one_line(data_bin, flags, message):
    """The exception has the line that fairseq-train then prints: see test_bad_flags.py."""
    with pytest.raises(RDropError) as end:
        Setup(data_bin, TRANSFORMER, extra=flags.split())
    assert str(end.value) == message


@pytest.mark.parametrize(
    ("flags", "extra", "message"),
    [
        (LSTM_SHARED, "--rdrop-loss fused", "--rdrop-loss fused: .* no plain output projection; use auto"),
        (LSTM_SHARED, "--rdrop-forward concat", "--rdrop-forward concat: the LSTM .* sorted by length; use"),
        (TRANSFORMER, "--decoder-layerdrop 0.1 --rdrop-forward concat", "concat: LayerDrop drops"),
        (
            TRANSFORMER,
            f"--dropout 0 {RATES}",
            "--rdrop-dropout needs a model with dropout: set --dropout above",
        ),
        (
            TRANSFORMER,
            f"--checkpoint-activations {RATES} --rdrop-start-update 9",
            "--rdrop-dropout cannot be combined with --checkpoint-activations",
        ),
        (ADAPTIVE_SOFTMAX, "", "cannot train an adaptive softmax .*: leave out --adaptive-softmax-cutoff"),
    ],
)
def test_what_the_model_cannot_do_ends_the_first_step_with_one_line(data_bin, flags, extra, message):
    """Regression: it was a traceback and a checkpoint crash.pt, in that step or at the start update."""
    ours = Setup(data_bin, flags, extra=extra.split())
    sample = ours.batch()
    called = []
    ours.model.encoder.register_forward_pre_hook(lambda *_: called.append(1))
    with pytest.raises(RDropError) as end:
        ours.train_step(sample)
    assert re.search(message, str(end.value))
    assert "\n" not in str(end.value)
    assert not called  # nothing was computed


def test_adaptive_softmax_does_what_the_plain_criterion_does(data_bin):
    """It validates, but cannot train, as fairseq's changes in place what its backward needs."""
    ours, plain = Setup(data_bin, ADAPTIVE_SOFTMAX), Setup(data_bin, ADAPTIVE_SOFTMAX, PLAIN)
    sample = ours.batch()
    assert ours.valid_step(sample)[1:] == plain.valid_step(sample, ours.model)[1:]
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        plain.train_step(sample, ours.model)


@pytest.mark.parametrize("flags", ["", "--rdrop-forward separate", "--rdrop-passes 1"])
@PATHS
def test_a_batch_with_nothing_to_count_has_a_gradient_of_0(data_bin, path, flags):
    """As one process of several may have it: loss and gradient are 0, and the log is that of the others."""
    extra = ["--rdrop-loss", path, *flags.split()]
    ours, first = (Setup(data_bin, TRANSFORMER, extra=extra) for _ in range(2))
    sample = ours.uneven_batch()
    other = ours.train_step(sample)[2]
    sample = {**sample, "ntokens": 0, "target": torch.full_like(sample["target"], ours.criterion.padding_idx)}
    for setup in (ours, first):  # in the first step, too
        loss, sample_size, log, grads = setup.train_step(sample)
        assert loss == sample_size == 0
        assert grads
        assert all(grad.eq(0).all() for grad in grads.values())
    results = []
    for logs in ([other], [other, log]):
        with metrics.aggregate() as meters:
            ours.criterion.reduce_metrics(logs)
        results.append(meters.get_smoothed_values())
    assert results[0] == results[1]
    assert 0 < results[0]["loss"] < math.inf
