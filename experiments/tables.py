"""The tables and sentences about Multi30k's test sets, of what evidence.py has found."""

from collections.abc import Callable, Iterable
from statistics import mean

from experiments import evidence
from experiments.evidence import CHRF, LOWERCASED, SACREBLEU, Systems, seeds, spread
from experiments.rows import table
from experiments.training_time import (
    IN_TREE,
    RDROP,
    Result,
    Seconds,
    ahead_for_good,
    kinds_of,
    lead,
    length,
    price,
    updates,
    words_of,
)

Block = Callable[[Systems, Seconds], str]

NAMES = ("best checkpoint", "last 5 averaged", "last 10 averaged")  # of AVERAGES
# Wu et al., ACL 2021, "Good for Misconceived Reasons", table of the text-only transformer_tiny
PUBLISHED = {"Flickr 2016": 41.02, "Flickr 2017": 33.36, "MSCOCO 2017": 29.88}


def headline(systems: Systems, seconds: Seconds) -> str:
    """What each schedule of R-Drop brings, beside the longest plain training, and what it costs."""
    schedules = evidence.tested_schedules(systems)
    baseline = evidence.longest_plain(schedules.values())
    shown = [(baseline, ""), *((rdrop, evidence.significant(rdrop)) for rdrop, _ in schedules.values())]
    rows = []
    for results, wins in shown:
        scores = [f"{mean(evidence.scores_on(test, results)):.2f}" for test in PUBLISHED]
        if results is not baseline:
            gains = _mean_gains(*evidence.same_seeds(results, baseline))
            scores = [f"{score} ({gain})" for score, gain in zip(scores, gains, strict=True)]
        cells = [*scores, minutes(results, seconds), _prices(results[0], seconds), wins]
        rows.append([words_of(results[0]), *cells])
    columns = ["system", *PUBLISHED, "minutes", "price of an update", "p < 0.05"]
    return (
        f"{table(columns, rows)}\n\n"
        f"Multi30k en-de: BLEU (sacreBLEU, mean of seeds {seeds(baseline)}; in brackets minus the first "
        "row), minutes on one CPU core, the time of an update over a plain one's, and in how many "
        "comparisons p is below 0.05, each with the plain training that it was trained beside."
    )


def _mean_gains(ours: list[Result], theirs: list[Result]) -> list[str]:
    return [f"{mean(evidence.gains_on(test, ours, theirs)):+.2f}" for test in PUBLISHED]


def minutes(results: list[Result], seconds: Seconds) -> str:
    return f"{mean(length(result, seconds) for result in results) / 60:.0f}"


def padded(scores: Iterable[str]) -> list[str]:
    """A cell for each of NAMES; a dash where the trainings had too few epochs."""
    return [*scores, *["-"] * len(NAMES)][: len(NAMES)]


def _prices(result: Result, seconds: Seconds) -> str:
    before = f"{_prices(result['from'], seconds)}, then " if result["from"] else ""
    own = f"{before}{price(result, seconds):.2f}"
    if kinds_of(result).words != "R-Drop":
        return own
    return f"{own} (fairseq's own {price(result, _in_tree(seconds)):.2f})"


def _in_tree(seconds: Seconds) -> Seconds:
    """With fairseq's own R-Drop."""
    return seconds | {RDROP: seconds[IN_TREE]}


def ahead(systems: Systems, seconds: Seconds) -> str:
    """The time from which each schedule of R-Drop is ahead at equal time, R-Drop also at fairseq's price.

    And by how much when each of the two trainings ends, the longest of its seeds; and from when on R-Drop in
    every update is ahead of the schedule. Plain training is the longest one, as in the figure.
    """
    schedules = evidence.tested_schedules(systems)
    plain = evidence.longest_plain(schedules.values())
    sentences = []
    for name, (rdrop, _) in schedules.items():
        text = _ahead(name, rdrop, plain, seconds)
        every, _ = schedules.get("R-Drop", (rdrop, plain))
        overtaken = ahead_for_good(every, rdrop, seconds)
        if overtaken is not None:
            text += f" R-Drop in every update is ahead of it for good after {overtaken / 60:.0f} minutes."
        sentences.append(text)
    return "\n\n".join(sentences)


def _ahead(name: str, rdrop: list[Result], plain: list[Result], seconds: Seconds) -> str:
    ours = ahead_for_good(rdrop, plain, seconds)
    if ours is None:
        return f"In the end {name} is not ahead."
    at_ends = []
    for each, results in (("plain training", plain), (name, rdrop)):
        end = max(length(result, seconds) for result in results)
        bleu = lead(end, rdrop, plain, seconds)
        at_ends.append(f"{bleu:+.2f} BLEU where {each} ends, after {end / 60:.0f} minutes")
    text = f"{name[0].upper()}{name[1:]} is ahead for good after {ours / 60:.0f} minutes. "
    text += f"Its lead over plain training is {', and '.join(at_ends)}."
    in_tree = ahead_for_good(rdrop, plain, _in_tree(seconds))
    if name == "R-Drop" and in_tree is not None:
        text += " In the time of fairseq's own R-Drop it would be ahead for good "
        text += f"after {in_tree / 60:.0f} minutes."
    return text


def test_table(systems: Systems, seconds: Seconds) -> str:
    """Each schedule of R-Drop below the plain training that it is compared with."""
    schedules = evidence.tested_schedules(systems)
    rows = []
    for test in PUBLISHED:
        for name, (rdrop, plain) in schedules.items():
            more = _gain_and_p(test, rdrop, plain)
            for each, results, last in ((words_of(plain[0]), plain, ["", ""]), (name, rdrop, more)):
                scores = [spread(evidence.scores_on(test, results, metric)) for metric in (SACREBLEU, CHRF)]
                rows.append([test, each, minutes(results, seconds), *scores, *last])
    columns = ["test set", "system", "minutes", "BLEU", "chrF2", "minus plain, BLEU"]
    columns.append(f"p of seed {seeds(rdrop)}")
    return f"{table(columns, rows)}\n\n{_signatures(rdrop, SACREBLEU, CHRF)}"


def price_table(systems: Systems, seconds: Seconds) -> str:
    """What each R-Drop system that was scored on the test sets brings for its time, there and on valid.

    The best on valid are compared too, where they were not trained as a pair.
    """
    pairs = evidence.all_done(systems)
    tested = [rdrop for rdrop, _ in pairs]
    pairs += [pair for pair in evidence.compared(systems) if pair[0] in tested and pair not in pairs]
    columns = ["R-Drop", "minutes", "minus", "minutes", *(f"valid: {name}" for name in NAMES), *PUBLISHED]
    rows = []
    for rdrop, plain in pairs:
        on_valid = padded(f"{gain:+.2f}" for gain in evidence.gains_on_valid(rdrop, plain))
        ours = f"{words_of(rdrop[0])} (`{rdrop[0]['system']}`)", minutes(rdrop, seconds)
        theirs = f"`{plain[0]['system']}`", minutes(plain, seconds)
        rows.append([*ours, *theirs, *on_valid, *_mean_gains(rdrop, plain)])
    return table(columns, rows)


def published_table(systems: Systems, seconds: Seconds) -> str:
    """On the scale on which text-only figures are published, what gains most on valid."""
    pairs = evidence.tested_schedules(systems).values()
    rdrop, plain = max(pairs, key=lambda pair: mean(evidence.gains_on_valid(*pair)))
    rows = []
    for test, published in PUBLISHED.items():
        ours, theirs = (spread(evidence.scores_on(test, each, LOWERCASED)) for each in (rdrop, plain))
        rows.append([test, theirs, ours, f"{published:.2f}"])
    columns = ["test set", "plain", words_of(rdrop[0]), "Wu et al. 2021, transformer_tiny"]
    return f"{table(columns, rows)}\n\n{_signatures(rdrop, LOWERCASED)}"


def opened_table(systems: Systems, seconds: Seconds) -> str:
    """Every R-Drop system that was scored on the test sets, those of shorter trainings too."""
    columns = ["R-Drop", "seeds", "updates", "test set", "BLEU", "minus plain", "p of each seed"]
    rows = []
    for rdrop, plain in evidence.all_tested(systems):
        given = f"{mean(map(updates, rdrop)):,.0f}"
        for test in PUBLISHED:
            cells = [rdrop[0]["system"], seeds(rdrop), given, test, spread(evidence.scores_on(test, rdrop))]
            rows.append([*cells, *_gain_and_p(test, rdrop, plain)])
    return table(columns, rows)


def _gain_and_p(test: str, rdrop: list[Result], plain: list[Result]) -> list[str]:
    p_values = ", ".join(f"{p:.3f}" for p in evidence.p_values(test, rdrop))
    return [spread(evidence.gains_on(test, rdrop, plain)), p_values]


def _signatures(results: list[Result], *metrics: str) -> str:
    of_metric = results[0]["scores"]["test"][next(iter(PUBLISHED))]
    return "\n".join(f"- {metric}: `{of_metric[metric]['signature']}`" for metric in metrics)


BLOCKS: dict[str, Block] = {
    "headline": headline,
    "ahead": ahead,
    "test": test_table,
    "price": price_table,
    "opened": opened_table,
    "published": published_table,
}
