"""The tables about Multi30k, of what evidence.py has found."""

from statistics import mean

from experiments import evidence
from experiments.evidence import CHRF, SACREBLEU, TESTS, Systems, seeds, size, spread, valid_scores
from experiments.multi30k import best_point
from experiments.rows import table
from experiments.training_time import Result, Seconds, before, in_tree, length, price

NAMES = ("best checkpoint", "last 5 averaged", "last 10 averaged")  # of AVERAGES
# One training for each alpha, size of data and model, and one that was plain at first.
KL_OF = ("rdrop-a1-long", "rdrop-a2", "rdrop-a5", "rdrop-tiny", "rdrop-10k", "start-2208")


def headline(systems: Systems, seconds: Seconds) -> str:
    """What each schedule of R-Drop brings, beside the longest plain training, and what it costs."""
    plain = systems[evidence.LONGEST_PLAIN]
    scores = [f"{mean(evidence.scores_on(test, plain)):.2f}" for test in TESTS]
    rows = [["plain", *scores, minutes(plain, seconds), _prices(plain[0], seconds), ""]]
    for words, name in evidence.SCHEDULES.items():
        rdrop = systems[name]
        means = [mean(evidence.scores_on(test, rdrop)) for test in TESTS]
        gains = _mean_gains(*evidence.same_seeds(rdrop, plain))
        scores = [f"{score:.2f} ({gain})" for score, gain in zip(means, gains, strict=True)]
        cost = _prices(rdrop[0], seconds)
        if words == "R-Drop":
            cost += f" (fairseq's own {price(rdrop[0], in_tree(seconds)):.2f})"
        rows.append([words, *scores, minutes(rdrop, seconds), cost, evidence.significant(rdrop)])
    return (
        f"{table(['system', *TESTS, 'minutes', 'price of an update', 'p < 0.05'], rows)}\n\n"
        f"Multi30k en-de: BLEU (sacreBLEU, mean of seeds {seeds(plain)}; in brackets minus the first "
        "row), minutes on one CPU core, the time of an update over a plain one's, and in how many "
        "comparisons p is below 0.05, each with the plain training that it was trained beside."
    )


def _mean_gains(ours: list[Result], theirs: list[Result]) -> list[str]:
    return [f"{mean(evidence.gains_on(test, ours, theirs)):+.2f}" for test in TESTS]


def _prices(result: Result, seconds: Seconds) -> str:
    first = f"{_prices(result['from'], seconds)}, then " if result["from"] else ""
    return f"{first}{price(result, seconds):.2f}"


def minutes(results: list[Result], seconds: Seconds) -> str:
    return f"{mean(length(result, seconds) for result in results) / 60:.0f}"


def test_table(systems: Systems) -> str:
    """Each R-Drop system that was scored on the test sets, beside the plain training trained with it."""
    rows = []
    for test in TESTS:
        for rdrop, plain in (evidence.with_baseline(systems, name) for name in evidence.TESTED):
            cells = [test]
            for results in (rdrop, plain):
                scores = (evidence.scores_on(test, results, metric) for metric in (SACREBLEU, CHRF))
                cells += [f"`{results[0]['system']}`", *map(spread, scores)]
            p_values = ", ".join(f"{p:.3f}" for p in evidence.p_values(test, rdrop))
            rows.append([*cells, spread(evidence.gains_on(test, rdrop, plain)), p_values])
    columns = ["test set", "R-Drop", "BLEU", "chrF2", "plain", "BLEU", "chrF2", "minus plain, BLEU"]
    columns.append(f"p of seed {seeds(rdrop)}")
    scores = rdrop[0]["scores"]["test"][TESTS[0]]
    signatures = [f"- {metric}: `{scores[metric]['signature']}`" for metric in (SACREBLEU, CHRF)]
    return "\n".join([table(columns, rows), "", *signatures])


def price_table(systems: Systems, seconds: Seconds) -> str:
    """What each R-Drop system that was scored on the test sets brings for its time, there and on valid.

    R-Drop in every update also beside the longest plain training, which it was not trained with.
    """
    pairs = [evidence.with_baseline(systems, name) for name in evidence.TESTED]
    pairs.append((systems[evidence.SCHEDULES["R-Drop"]], systems[evidence.LONGEST_PLAIN]))
    rows = []
    for rdrop, plain in pairs:
        cells = []
        for results in (rdrop, plain):
            cells += [f"`{results[0]['system']}`", minutes(results, seconds)]
        on_valid = _padded([f"{gain:+.2f}" for gain in evidence.gains_on_valid(rdrop, plain)])
        rows.append([*cells, *on_valid, *_mean_gains(rdrop, plain)])
    return table(
        ["R-Drop", "minutes", "minus", "minutes", *(f"valid: {name}" for name in NAMES), *TESTS], rows
    )


def _padded(scores: list[str]) -> list[str]:
    """A cell for each of NAMES; a dash where the trainings had too few epochs."""
    return scores + ["-"] * (len(NAMES) - len(scores))


def valid_table(systems: Systems, seconds: Seconds) -> str:
    """Trainings on valid."""
    columns = ["system", "pairs", "parameters", "seeds", "minutes", "updates to the best", "BLEU, greedy"]
    columns += [f"BLEU, beam 5: {NAMES[0]}", *NAMES[1:], "nll", "train nll"]
    rows = []
    for name, results in systems.items():
        best = [best_point(result["curve"]) for result in results]
        to_best = [before(result) + point["update"] for result, point in zip(results, best, strict=True)]
        greedy, *nlls = (spread([point[key] for point in best]) for key in ("bleu", "nll", "train_nll"))
        beam_5 = _padded([*map(spread, valid_scores(results))])
        cells = [name, *size(results), seeds(results), minutes(results, seconds), f"{mean(to_best):,.0f}"]
        rows.append([*cells, greedy, *beam_5, *nlls])
    return table(columns, rows)


def kl_table(systems: Systems) -> str:
    """The KL divergence to expect in a log: ``rdrop_kl_loss``, in bits per token.

    Of the first epoch with R-Drop, half-way and of the last epoch.
    """
    rows = []
    for name in KL_OF:
        result = systems[name][0]
        points = [point for point in result["curve"] if "train_kl" in point]
        shown = points[0], points[len(points) // 2], points[-1]
        cells = [f"{point['train_kl']:.2f} ({point['update']:,})" for point in shown]
        rows.append([f"`{name}`", f"{result['alpha']:g}", *size([result]), *cells])
    columns = ["training", "alpha", "pairs", "parameters"]
    return table([*columns, "KL at the start (update)", "half-way", "at the end"], rows)
