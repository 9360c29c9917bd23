"""The tables and sentences about Multi30k, of results that are made up."""

import pytest
from made_up_results import SECONDS, interval_2, result, two_seeds, two_systems

from experiments import evidence, tables, training_time, valid_tables

systems = pytest.fixture(two_systems)


def test_ahead_for_good(systems):
    """At equal time: plain's 35 after 240 s is passed by 36.5 after 360 s, 180 updates of R-Drop."""
    rdrop, plain = systems["rdrop-a2"], systems["plain-d0.3"]
    assert training_time.ahead_for_good(rdrop, plain, SECONDS) == 360
    assert training_time.ahead_for_good(rdrop, plain, SECONDS | {training_time.RDROP: 1.0}) == 180
    assert training_time.ahead_for_good(plain, rdrop, SECONDS) is None
    for each in plain:
        each["curve"].append({"update": 300, "bleu": 37.5})
    assert tables.ahead(systems, SECONDS) == "In the end R-Drop is not ahead."
    assert training_time.best_by(119, rdrop, SECONDS) == [0, 0]
    assert training_time.best_by(120, rdrop, SECONDS) == [31, 31]
    assert training_time.best_by(1e9, rdrop, SECONDS) == [37, 38]  # best so far, not the last


@pytest.mark.parametrize(
    ("criterion", "flags", "seconds"),
    [
        ("plain", "", {1: 1.0, 6: 6.0}),
        ("plain", "--criterion label_smoothed_cross_entropy_rdrop --rdrop-passes 1", {6: 5.4}),
        ("rdrop", "--dropout 0.3", {6: 12.0}),
        ("rdrop", "--rdrop-start-update 4", {4: 3.6, 5: 5.6, 6: 7.6}),
        ("rdrop", "--rdrop-interval 2", {1: 1.5, 2: 3.0, 3: 4.5, 4: 6.0}),
        ("rdrop", "--rdrop-start-update 2 --rdrop-interval 2", {1: 0.9, 2: 1.8, 4: 4.8}),
        ("rdrop", "--rdrop-start-update 3 --rdrop-interval=4", {3: 2.7, 4: 4.7, 7: 7.4, 8: 9.4}),
    ],
)
def test_each_update_takes_the_time_of_its_kind(criterion, flags, seconds):
    """A single pass of our criterion is the fused loss with one pass, before the start and in an interval.

    For every 2nd update the mean was measured.
    """
    kinds = training_time.Kinds.of(criterion, flags.split())
    assert {n: pytest.approx(kinds.seconds(n, SECONDS)) for n in seconds} == seconds


def test_the_flags_of_a_schedule_are_those_of_the_criterion():
    pytest.importorskip("fairseq.criterions")
    from rdrop_fairseq.config import LabelSmoothedCrossEntropyRDropConfig

    config, kinds = LabelSmoothedCrossEntropyRDropConfig(), training_time.Kinds.of("rdrop", [])
    names = config.rdrop_passes, config.rdrop_start_update, config.rdrop_interval
    assert (kinds.passes, kinds.start, kinds.interval) == names


def told(systems):
    """All tables and sentences."""
    blocks = tables.BLOCKS | valid_tables.BLOCKS
    return "\n".join(make(systems, SECONDS) for make in blocks.values())


def test_tables(systems):
    gains = " | ".join(["39.00 (+2.50)"] * 3)
    pays = "| 29,000 | 7.0 M | 1, 2 | plain-d0.3 | 2.00, 2.15 | rdrop-a2 | +2.50 | +2.50 | +2.50 |"
    text = told(systems)
    for expected in (
        "| plain | 36.50 | 36.50 | 36.50 | 4 | 1.00 |  |",
        f"| R-Drop | {gains} | 8 | 2.00 (fairseq's own 3.00) | 0 of 6 |",
        "mean of seeds 1, 2;",
        "R-Drop is ahead for good after 6 minutes. Its lead over plain training is "
        "-2.00 BLEU where plain training ends, after 4 minutes, "
        "and +2.50 BLEU where R-Drop ends, after 8 minutes. "
        "In the time of fairseq's own R-Drop it would be ahead for good after 9 minutes.\n",
        "| Flickr 2016 | plain | 4 | 36.50 ± 0.71 | 36.50 ± 0.71 |  |  |",
        "| Flickr 2016 | R-Drop | 8 | 39.00 ± 1.41 | 39.00 ± 1.41 | 2.50 ± 0.71 | 0.250, 0.125 |",
        "| MSCOCO 2017 | 36.50 ± 0.71 | 39.00 ± 1.41 | 29.88 |",
        "| plain-d0.3 | 29,000 | 7.0 M | 1, 2 | 240 | 35.00 ± 0.00 "
        "| 36.50 ± 0.71 | 36.60 ± 0.71 | 36.70 ± 0.71 | 2.15 ± 0.00 |",
        pays,
    ):
        assert expected in text
    (early,) = systems["rdrop-a5"] = [result("rdrop-a5", 1, [40], 41.0, "plain-d0.3")]
    del early["scores"]["valid"]["last:10"]  # cut off after fewer epochs
    del early["scores"]["against"]
    text = told(systems)
    assert "| rdrop-a5 | 29,000 | 7.0 M | 1 | 60 | 40.00 | 41.00 | 41.10 | - |" in text
    assert pays in text  # the tested pair, though another is higher on valid
    for each in systems["rdrop-a2"]:
        del each["scores"]["against"]
    assert pays in valid_tables.pays_table(systems, SECONDS)  # the best on valid, of those with all averages


def price_row(name, minutes, plain, its_minutes, gain):
    return f"| {name} | {minutes} | `{plain}` | {its_minutes} |{f' {gain} |' * 6}"


def test_the_longer_training_replaces_the_shorter(systems):
    """Everywhere but where each opening of the test sets is told."""
    (long,) = systems["rdrop-long"] = [result("rdrop-long", 2, [31, 33, 36, 38, 39], 37.5, "plain-d0.3")]
    assert "39.00 (+2.50)" in tables.headline(systems, SECONDS)  # as long as a seed of it is not done
    assert "rdrop-long" not in tables.price_table(systems, SECONDS)
    long["listed"] = 1
    text = told(systems)
    assert "| R-Drop | 37.50 (+0.50) | 37.50 (+0.50) | 37.50 (+0.50) | 10 | 2.00" in text
    assert "| rdrop-long | +0.50 | +0.50 | +0.50 |" in text
    assert "| rdrop-a2 | 1, 2 | 240 | Flickr 2016 | 39.00 ± 1.41 | 2.50 ± 0.71 | 0.250, 0.125 |" in text
    assert "| rdrop-long | 2 | 300 | MSCOCO 2017 | 37.50 | 0.50 | 0.125 |" in text
    assert tables.price_table(systems, SECONDS).splitlines()[2:] == [
        price_row("R-Drop (`rdrop-a2`)", 8, "plain-d0.3", 4, "+2.50"),
        price_row("R-Drop (`rdrop-long`)", 10, "plain-d0.3", 4, "+0.50"),
    ]


def test_seeds_of_one_system_only_are_not_compared(systems):
    systems["plain-d0.3"].append(result("plain-d0.3", 3, [90], 90.0))
    text = told(systems)
    assert "39.00 (+2.50)" in text
    assert "(sacreBLEU, mean of seeds 1, 2; " in text
    assert "| 1, 2 | plain-d0.3 |" in text
    assert "| rdrop-a2 | plain-d0.3 | 1, 2 |" in text


def test_equal_updates(systems, monkeypatch):
    """The best so far: after 60 updates 31 against 30, after 240 37 (36 last) and 38 against 35."""
    monkeypatch.setattr(valid_tables, "EQUAL_UPDATES", (60, 240, 300))
    for each in systems["plain-d0.3"]:
        each["curve"][-1]["nll"] = 2.105  # against 2.13 and 2.12
    rows = valid_tables.equal_table(systems, SECONDS).splitlines()[2:]
    assert rows == ["| rdrop-a2 | plain-d0.3 | 1, 2 | +1.00, -0.01 | +2.50, +0.02 | - |"]


def test_the_best_plain_training_is_the_rival(systems):
    """On valid, also where it was trained beside another schedule, which gains less."""
    systems |= two_seeds("plain-long", [30, 34, 35, 36], 37.0) | interval_2("plain-long")
    pays = "| plain-long | 2.00, 2.14 | rdrop-a2 | +2.00 | +2.00 | +2.00 |"
    assert pays in valid_tables.pays_table(systems, SECONDS)
    assert "39.00 (+2.50)" in tables.headline(systems, SECONDS)  # of two as long the first
    assert tables.price_table(systems, SECONDS).splitlines()[2:] == [
        price_row("R-Drop (`rdrop-a2`)", 8, "plain-d0.3", 4, "+2.50"),
        price_row("R-Drop in every 2nd update (`interval-2`)", 6, "plain-long", 4, "+1.50"),
        price_row("R-Drop (`rdrop-a2`)", 8, "plain-long", 4, "+2.00"),
    ]
    # At equal time the longest one: R-Drop's best, 37.5 in the mean, is 1.5 ahead of 36, not 2.5 of 35.
    systems |= two_seeds("plain-long", [30, 34, 35, 35, 36], 37.0)
    text, _ = tables.ahead(systems, SECONDS).split("\n\n")
    assert "where plain training ends, after 5 minutes, and +1.50 BLEU where R-Drop ends, after 8 m" in text


def test_schedules_have_names_and_prices_of_their_own(systems):
    systems |= interval_2("plain-d0.3")
    lazy, every_2nd = systems["interval-2"], "R-Drop in every 2nd update"
    for each in lazy:
        each["scores"]["against"]["test"]["Flickr 2017"][evidence.SACREBLEU]["p_value"] = 0.049
    text, gains = told(systems), " | ".join(["38.50 (+2.00)"] * 3)
    for expected in (
        f"| {every_2nd} | {gains} | 6 | 1.50 | 2 of 6 |",
        f"| Flickr 2016 | {every_2nd} | 6 | 38.50 ± 0.00 | 38.50 ± 0.00 | 2.00 ± 0.71 |",
        f"\n\n{every_2nd} is ahead for good after 4 minutes. Its lead over plain training is ",
        f"where {every_2nd} ends, after 6 minutes.\n",
    ):
        assert expected in text
    for each in lazy:  # what gains most on valid is published
        for score in each["scores"]["valid"].values():
            score[evidence.SACREBLEU]["score"] += 3
    for each in systems["rdrop-a2"]:  # 39 after 480 s, beside 38
        each["curve"][-1]["bleu"] = 39
    text = told(systems)
    assert f"| plain | {every_2nd} |" in text
    assert "| interval-2 | +5.00 | +5.00 | +5.00 |" in text
    assert "6 minutes. R-Drop in every update is ahead of it for good after 8 minutes.\n" in text


@pytest.fixture
def finished(systems):
    """Besides the two systems plain training, then R-Drop; and, then plain training, its control."""
    control, rdrop = two_seeds("control", [34, 36], 37.0), two_seeds("finish", [36, 38], 39.5, "control")
    for results in (control | rdrop).values():
        for each, start in zip(results, systems["plain-d0.3"], strict=True):
            each["from"] = start
            del each["scores"]["valid"]["last:10"]  # too short
    return systems | control | rdrop


def test_a_training_that_begins_with_another_has_its_time_and_curve_first(finished):
    first = finished["finish"][0]
    assert training_time.words_of(first) == "plain, then R-Drop"
    assert training_time.updates(first) == 360
    assert training_time.length(first, SECONDS) == 240 + 240
    times = training_time.validations([first], SECONDS)
    reached = [training_time.best_by(time, [first], SECONDS) for time in times]
    assert times == [60, 120, 180, 240, 360, 480]
    assert reached == [[30], [34], [34], [35], [36], [38]]
    assert training_time.price(first, SECONDS) == 2
    assert training_time.ahead_for_good(finished["finish"], finished["plain-d0.3"], SECONDS) == 360


def test_the_tables_with_such_a_training(finished):
    """It is told beside its control, but for the headline, and is no system of its size from scratch."""
    ours = " | ".join(["39.50 (+3.00)"] * 3)
    rows = tables.headline(finished, SECONDS).splitlines()[2:]
    assert rows[0].startswith("| plain | 36.50 |")
    price = "1.00, then 2.00 (fairseq's own 3.00)"
    assert rows[2] == f"| plain, then R-Drop | {ours} | 8 | {price} | 0 of 6 |"
    assert rows[3] == ""  # the control is not among them
    text = told(finished)
    for expected in (
        "| Flickr 2016 | plain, then plain | 6 | 37.00 ± 0.00 |",
        "| Flickr 2016 | plain, then R-Drop | 8 | 39.50 ± 0.00 |",
        "(`finish`) | 8 | `control` | 6 | +2.50 | +2.50 | - | +2.50",
        "\nPlain, then R-Drop is ahead for good after 6 minutes.",
        "| finish | 29,000 | 7.0 M | 1, 2 | 360 |",
        "None of them is done yet.",
    ):
        assert expected in text
    for make in (valid_tables.pays_table, valid_tables.equal_table):
        assert "finish" not in make(finished, SECONDS)
    (brought,) = evidence.brought_by_finish(finished)
    assert (*brought[:3], brought[-1]) == ("29,000", "7.0 M", "1, 2", "+2.50")
    del finished["finish"][0]["scores"]["test"]
    text = valid_tables.finish_table(finished, SECONDS)
    assert "| finish | plain-d0.3 | 120 | 8 | 39.50 | 39.60 | 39.55 |" in text
