"""What an update does: one pass, the interval, the start and the warm-up of alpha, the gradient's scale."""

import pytest
import torch
from conftest import NO_DROPOUT, PLAIN, TRANSFORMER, Setup, check_gradients, check_log

from rdrop_fairseq.errors import RDropError
from rdrop_fairseq.schedule import Schedule, Update

pytest.importorskip("fairseq")

PATHS = pytest.mark.parametrize("path", ["fused", "plain"])
SINGLE = Update(passes=1, alpha=0.0, kl_weight=0.0, ce_weight=2)


def updates(schedule, count):
    result = []
    for number in range(count):
        schedule.num_updates = number
        result.append(schedule.now())
    return result


def test_every_nth_update_from_the_start_on_has_r_drop():
    """The KL of such an update counts n times; every update has the scale of K cross entropies."""
    schedule = Schedule(2, alpha=5.0, start_update=2, interval=3)
    every_third = [Update(2, 5.0, 15.0), SINGLE, SINGLE]
    assert updates(schedule, 8) == [SINGLE, SINGLE, *every_third, *every_third]


def test_alpha_warms_up_by_updates_whatever_the_interval():
    schedule = Schedule(2, alpha=4.0, start_update=1, warmup_updates=4, interval=2)
    grown = [Update(2, alpha, 2 * alpha) for alpha in (0.0, 2.0, 4.0, 4.0)]
    assert updates(schedule, 9) == [SINGLE, *(u for r_drop in grown for u in (r_drop, SINGLE))]


def test_one_pass_counts_once():
    """K = 1 is plain training, which has no other kind of update to have one scale with."""
    assert updates(Schedule(1, alpha=5.0, interval=2), 2) == [Update(1, 0.0, 0.0, 1)] * 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"passes": 1}, "1 pass"),
        ({}, "2 passes, alpha 5"),
        (
            {"interval": 4, "start_update": 5000},
            "2 passes in every 4th update from update 5,000 on, alpha 5 (20 in those updates)",
        ),
        (
            {"passes": 3, "interval": 22, "alpha": 0.5, "warmup_updates": 1000},
            "3 passes in every 22nd update, alpha 0.5 (11 in those updates), reached after 1,000 updates",
        ),
        ({"interval": 11}, "2 passes in every 11th update, alpha 5 (55 in those updates)"),
    ],
)
def test_schedule_in_words(arguments, words):
    assert str(Schedule(**{"passes": 2, "alpha": 5.0, **arguments})) == words


@PATHS
@pytest.mark.parametrize("ce_reduction", ["sum", "mean"])
@pytest.mark.parametrize("passes", ["2", "3"])
def test_mean_gradient_over_an_interval_is_that_of_r_drop(data_bin, path, ce_reduction, passes):
    """The cross entropies have one scale in updates of both kinds, exactly so without dropout."""
    extra = ["--rdrop-loss", path, "--rdrop-ce-reduction", ce_reduction, "--rdrop-passes", passes]
    flags = [*TRANSFORMER, *NO_DROPOUT]
    lazy = Setup(data_bin, flags, extra=[*extra, "--rdrop-interval", "3"])
    every = Setup(data_bin, flags, extra=extra)
    for setup in (lazy, every):
        setup.model.double()
    sample = every.uneven_batch()
    steps = []
    for number in range(3):
        lazy.criterion.schedule.num_updates = number
        steps.append(lazy.train_step(sample, every.model)[3])
    got = {name: sum(step[name] for step in steps) / 3 for name in steps[0]}
    digits = 1e-6 if path == "fused" else 1e-4  # fairseq takes attention, and its log-softmax, in float32
    check_gradients(got, every.train_step(sample)[3], rtol=digits, atol=digits)


@PATHS
@pytest.mark.parametrize("ce_reduction", ["sum", "mean"])
def test_an_update_with_r_drop_has_alpha_times_the_interval(data_bin, path, ce_reduction):
    """Its step under dropout is that of R-Drop with n times alpha: the mean over the interval has alpha."""
    extra = ["--rdrop-loss", path, "--rdrop-ce-reduction", ce_reduction, "--rdrop-alpha"]
    lazy = Setup(data_bin, TRANSFORMER, extra=[*extra, "1.5", "--rdrop-interval", "3"])
    sample = lazy.uneven_batch()
    loss, _, log, grads = lazy.train_step(sample)
    expected = Setup(data_bin, TRANSFORMER, extra=[*extra, "4.5"]).train_step(sample, lazy.model)
    assert log["rdrop_kl_loss"] == expected[2]["rdrop_kl_loss"] > 0
    assert loss == expected[0]
    check_gradients(grads, expected[3], rtol=0, atol=0)


@pytest.mark.parametrize("flags", ["interval 4", "start-update 9", "warmup-updates 9"])
def test_a_schedule_that_nobody_tells_the_update_ends_in_one_line(data_bin, caplog, flags):
    """Regression: interval 4 had R-Drop in every update, at four times alpha, and a start never came."""
    caplog.set_level("INFO")
    setup = Setup(data_bin, TRANSFORMER, extra=f"--rdrop-{flags}".split())
    sample, options = setup.batch(), vars(setup.args)
    names = ("label_smoothing", *(name for name in options if name.startswith("rdrop_")))
    criterion = type(setup.criterion)(setup.task, False, **{name: options[name] for name in names})
    with pytest.raises(RDropError, match="need the number of the update") as error:
        criterion(setup.model.train(), sample)
    assert "\n" not in str(error.value)
    assert "R-Drop" not in caplog.text
    criterion.schedule.num_updates = 9
    assert criterion(setup.model, sample)[0].isfinite()
    one_pass = type(setup.criterion)(setup.task, False, 0.1, rdrop_passes=1, rdrop_interval=4)
    assert one_pass(setup.model, sample)[0].isfinite()


ONE = ["--rdrop-passes", "1"]


def sentences_encoded(setup):
    """Records the size of every batch that the encoder gets."""
    sizes = []
    setup.model.encoder.register_forward_pre_hook(
        lambda module, args, kwargs: sizes.append(len((args + tuple(kwargs.values()))[0])), with_kwargs=True
    )
    return sizes


@PATHS
@pytest.mark.parametrize("ties", [[], ["--share-all-embeddings"]], ids=["untied", "tied"])
def test_one_pass_is_the_plain_criterion(data_bin, model_device, path, ties):
    """Loss, NLL and accuracy are its own to 1e-6, with dropout, whatever alpha; the batch is not repeated."""
    flags = [*TRANSFORMER, *ties, "--dropout", "0.3"]
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
