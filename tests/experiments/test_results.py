"""The tables about Multi30k and the time of a training, of results that are made up."""

import pytest
from made_up_results import SECONDS, made_up_systems

from experiments import evidence, tables, training_time
from experiments.training_time import Kinds, ahead_for_good, best_by

systems = pytest.fixture(made_up_systems)


@pytest.mark.parametrize(
    ("criterion", "flags", "seconds"),
    [
        ("plain", "", {1: 1.0, 6: 6.0}),
        ("plain", "--criterion label_smoothed_cross_entropy_rdrop --rdrop-passes 1", {6: 5.4}),
        ("rdrop", "--rdrop-start-update 4", {4: 3.6, 5: 5.6, 6: 7.6}),
        ("rdrop", "--rdrop-start-update 2 --rdrop-interval 2", {1: 0.9, 2: 1.8, 4: 4.8}),
        ("rdrop", "--rdrop-start-update 3 --rdrop-interval=4", {3: 2.7, 4: 4.7, 7: 7.4, 8: 9.4}),
    ],
)
def test_each_update_takes_the_time_of_its_kind(criterion, flags, seconds):
    """Our criterion's single pass is the fused loss with one pass. For every 2nd update the mean counts."""
    kinds = Kinds.of(criterion, flags.split())
    assert {n: pytest.approx(kinds.seconds(n, SECONDS)) for n in seconds} == seconds


def test_the_flags_of_a_schedule_are_those_of_the_criterion():
    pytest.importorskip("fairseq.criterions")
    from rdrop_fairseq.config import LabelSmoothedCrossEntropyRDropConfig

    config, kinds = LabelSmoothedCrossEntropyRDropConfig(), Kinds.of("rdrop", [])
    names = config.rdrop_passes, config.rdrop_start_update, config.rdrop_interval
    assert (kinds.passes, kinds.start, kinds.interval) == names


def test_ahead_for_good(systems):
    """At equal time: plain's 35 after 240 s is passed by 36.5 after 360 s, 180 updates of R-Drop."""
    rdrop, plain = systems["rdrop-long"], systems["plain-long"]
    assert ahead_for_good(rdrop, plain, SECONDS) == 360
    assert ahead_for_good(rdrop, plain, training_time.in_tree(SECONDS)) == 540
    with pytest.raises(ValueError, match="in the end it is not ahead"):
        ahead_for_good(plain, rdrop, SECONDS)
    reached = {time: best_by(time, rdrop, SECONDS) for time in (119, 120, 1e9)}
    assert reached == {119: [0, 0], 120: [31, 31], 1e9: [37, 38]}  # the best so far, not the last


def test_a_training_that_begins_with_another_has_its_time_and_curve_first(systems):
    finish = systems["finish"][0]
    assert training_time.updates(finish) == 360
    assert training_time.price(finish, SECONDS) == 1.5
    times = training_time.validations([finish], SECONDS)
    assert times == [60, 120, 180, 240, 330, 420]
    assert [best_by(time, [finish], SECONDS) for time in times] == [[30], [34], [34], [35], [36], [38]]


def test_tables(systems, monkeypatch):
    monkeypatch.setattr(evidence, "TESTED", ("rdrop-long", "finish"))
    text = tables.headline(systems, SECONDS)
    rdrop, every_2nd, finish = (
        " | ".join([gain] * 3) for gain in ("39.00 (+2.50)", "38.50 (+2.00)", "39.50 (+3.00)")
    )
    assert text.splitlines()[2:6] == [
        "| plain | 36.50 | 36.50 | 36.50 | 4 | 1.00 |  |",
        f"| R-Drop | {rdrop} | 8 | 2.00 (fairseq's own 3.00) | 3 of 6 |",
        f"| R-Drop in every 2nd update | {every_2nd} | 6 | 1.50 | 3 of 6 |",
        f"| plain, then R-Drop in every 2nd update | {finish} | 7 | 1.00, then 1.50 | 3 of 6 |",
    ]
    assert "mean of seeds 1, 2;" in text
    rdrop = "`rdrop-long` | 39.00 ± 1.41 | 59.00 ± 1.41 | `plain-long` | 36.50 ± 0.71 | 56.50 ± 0.71"
    finish = "`finish` | 39.50 ± 0.00 | 59.50 ± 0.00 | `finish-plain` | 37.00 ± 0.00 | 57.00 ± 0.00"
    expected = []
    for test in evidence.TESTS:
        expected.append(f"| {test} | {rdrop} | 2.50 ± 0.71 | 0.090, 0.045 |")
        expected.append(f"| {test} | {finish} | 2.50 ± 0.00 | 0.090, 0.045 |")
    signatures = ["", "- BLEU, sacreBLEU: `of BLEU`", "- chrF2, sacreBLEU: `of chrF2`"]
    assert tables.test_table(systems).splitlines()[2:] == expected + signatures
    of_rdrop = "| `rdrop-long` | 8 | `plain-long` | 4 |" + " +2.50 |" * 6
    of_finish = "| `finish` | 7 | `finish-plain` | 6 | +2.50 | +2.50 | - | +2.50 | +2.50 | +2.50 |"
    assert tables.price_table(systems, SECONDS).splitlines()[2:] == [of_rdrop, of_finish, of_rdrop]
    row = (
        "| finish | 29,000 | 7.0 M | 1, 2 | 7 | 360 | 38.00 ± 0.00 "
        "| 39.50 ± 0.00 | 39.60 ± 0.00 | - | 2.12 ± 0.00 | 2.00 ± 0.00 |"
    )
    assert tables.valid_table(systems, SECONDS).splitlines()[-1] == row
    gains = evidence.brought(systems, {"rdrop-long": "plain-long", "finish": "finish-plain"})
    assert gains == [["29,000", "7.0 M", "2.00", nll, "+2.50"] for nll in ("2.15", "2.14")]


def test_other_seeds_are_not_compared(systems):
    systems["plain-long"][1]["seed"] = 3
    with pytest.raises(ValueError, match="seeds 1, 2 are not 1, 3"):
        tables.headline(systems, SECONDS)
