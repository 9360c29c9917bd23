"""What an update does: the interval, the start and the warm-up of alpha, and the scale of the gradient."""

import pytest
import torch
from conftest import NO_DROPOUT, TRANSFORMER, Setup

from rdrop_fairseq.schedule import Schedule, Update

pytest.importorskip("fairseq")

PATHS = ["fused", "plain"]
SINGLE = Update(passes=1, alpha=0.0, kl_weight=0.0, ce_weight=2)


def updates(schedule, count):
    result = []
    for number in range(count):
        schedule.num_updates = number
        result.append(schedule.now())
    return result


def test_every_nth_update_from_the_start_on_has_r_drop():
    schedule = Schedule(2, alpha=5.0, start_update=2, interval=3)
    every_third = [Update(2, 5.0, 15.0), SINGLE, SINGLE]
    assert updates(schedule, 8) == [SINGLE, SINGLE, *every_third, *every_third]


def test_alpha_warms_up_by_updates_whatever_the_interval():
    schedule = Schedule(2, alpha=4.0, start_update=1, warmup_updates=4, interval=2)
    grown = [Update(2, alpha, 2 * alpha) for alpha in (0.0, 2.0, 4.0, 4.0)]
    assert updates(schedule, 9) == [SINGLE, *(u for r_drop in grown for u in (r_drop, SINGLE))]


def test_one_pass_counts_once():
    """K = 1 is plain training: there is no other kind of update to have one scale with."""
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
    assert str(Schedule(**{"passes": 2, "alpha": 5.0} | arguments)) == words


def mean_gradient(setup, sample, seeds, count):
    """Over ``count`` updates for each seed, of dropout."""
    total = {}
    for seed in seeds:
        for number in range(count):
            setup.criterion.schedule.num_updates = number
            setup.model.train()
            setup.model.zero_grad()
            torch.manual_seed(seed * count + number)
            setup.criterion(setup.model, sample)[0].backward()
            for name, p in setup.model.named_parameters():
                if p.grad is not None:
                    total[name] = total.get(name, 0) + p.grad / (len(seeds) * count)
    return total


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("ce_reduction", ["sum", "mean"])
@pytest.mark.parametrize("passes", ["2", "3"])
def test_mean_gradient_over_an_interval_is_that_of_r_drop(data_bin, path, ce_reduction, passes):
    """Exactly without dropout: the cross entropies have one scale in updates of both kinds."""
    extra = ["--rdrop-loss", path, "--rdrop-ce-reduction", ce_reduction, "--rdrop-passes", passes]
    flags = [*TRANSFORMER, *NO_DROPOUT]
    lazy = Setup(data_bin, flags, extra=[*extra, "--rdrop-interval", "3"])
    every = Setup(data_bin, flags, extra=extra)
    for setup in (lazy, every):
        setup.model.double()
    sample = every.uneven_batch()
    expected = mean_gradient(every, sample, [0], 3)
    got = mean_gradient(lazy, sample, [0], 3)
    assert got.keys() == expected.keys()
    digits = 1e-6 if path == "fused" else 1e-4  # fairseq takes attention, and its log-softmax, in float32
    for name, grad in expected.items():
        torch.testing.assert_close(got[name], grad, rtol=digits, atol=digits)


def test_mean_gradient_with_dropout_is_that_of_r_drop_to_sampling_error(data_bin):
    """Many masks: without alpha times the interval, or with it twice, the means are far apart."""
    flags = [*TRANSFORMER, "--dropout", "0.3"]
    extra = ["--rdrop-alpha", "3"]
    every = Setup(data_bin, flags, extra=extra)
    lazy = Setup(data_bin, flags, extra=[*extra, "--rdrop-interval", "2"])
    sample = every.uneven_batch()

    def flat(setup, seeds):
        return torch.cat([grad.flatten() for grad in mean_gradient(setup, sample, seeds, 2).values()])

    expected = flat(every, range(200))
    noise = (flat(every, range(200, 400)) - expected).norm()
    assert (flat(lazy, range(400, 600)) - expected).norm() < 2 * noise
    without = flat(Setup(data_bin, flags, extra=["--rdrop-alpha", "1.5"]), range(200))
    assert (without - expected).norm() > 2 * noise


@pytest.mark.parametrize("path", PATHS)
def test_a_single_pass_logs_what_it_logs_alone(data_bin, path):
    """Its loss counts for two passes and is logged by the pass: no step in a curve where R-Drop starts."""
    extra = ["--rdrop-loss", path, "--report-accuracy"]
    alone = Setup(data_bin, TRANSFORMER, extra=[*extra, "--rdrop-passes", "1"])
    sample = alone.batch()
    loss, sample_size, log, grads = alone.train_step(sample)
    early = Setup(data_bin, TRANSFORMER, extra=[*extra, "--rdrop-start-update", "5"])
    twice = early.train_step(sample, alone.model)
    torch.testing.assert_close(twice[0], 2 * loss, rtol=1e-6, atol=0)
    assert twice[1] == sample_size
    assert twice[2].keys() == log.keys()
    for key, value in log.items():
        torch.testing.assert_close(float(twice[2][key]), float(value), rtol=1e-6, atol=0, msg=key)
    for name, grad in grads.items():
        torch.testing.assert_close(twice[3][name], 2 * grad, rtol=1e-5, atol=1e-6)
