"""The tables about Multi30k, of what evidence.py has found."""

import math
import statistics

from scripts.experiments.evidence import Result, Spread, ahead_for_good, mean_at
from scripts.experiments.runs import AVERAGES, best_point

Systems = dict[str, list[Result]]
Seconds = dict[str, float]

PLAIN, RDROP, IN_TREE, PLAIN_FUSED = (
    "plain",
    "ours, fused loss",
    "fairseq in-tree R-Drop",
    "ours, fused loss, 1 pass",
)
SACREBLEU, CHRF, LOWERCASED = "BLEU, sacreBLEU", "chrF2, sacreBLEU", "BLEU, tokenised, lowercased"
NAMES = ("best checkpoint", "last 5 averaged", "last 10 averaged")  # of AVERAGES
# Wu et al., ACL 2021, "Good for Misconceived Reasons", table of the text-only transformer_tiny
PUBLISHED = {"Flickr 2016": 41.02, "Flickr 2017": 33.36, "MSCOCO 2017": 29.88}
EQUAL_UPDATES = (4_296, 10_740)  # 8 and 20 epochs of 29,000 pairs
NOTHING = "No run has been scored on the test sets yet."


def tested(systems: Systems) -> tuple[list[Result], list[Result]] | None:
    """R-Drop and its baseline, the systems that the test sets were opened for; the seeds that both have."""
    by_name = {f"{name}-{result['seed']}": result for name, rs in systems.items() for result in rs}
    for results in systems.values():
        rdrop = [result for result in results if "against" in result["scores"]]
        if rdrop:
            return rdrop, [by_name[result["scores"]["against"]["run"]] for result in rdrop]
    return None


def scores(results: list[Result], test: str, metric: str) -> Spread:
    return Spread.of(result["scores"]["test"][test][metric]["score"] for result in results)


def valid_scores(results: list[Result]) -> list[Spread]:
    """BLEU on valid at beam 5, for each of AVERAGES for which the trainings had enough epochs."""
    valid = [result["scores"]["valid"] for result in results]
    averages = [average for average in AVERAGES if all(average in scores for scores in valid)]
    return [Spread.of(scores[average][SACREBLEU]["score"] for scores in valid) for average in averages]


def gain(ours: list[Result], theirs: list[Result], test: str, metric: str) -> Spread:
    """Of each seed's difference."""
    pairs = zip(ours, theirs, strict=True)
    return Spread.of(
        a["scores"]["test"][test][metric]["score"] - b["scores"]["test"][test][metric]["score"]
        for a, b in pairs
    )


def headline(systems: Systems, seconds: Seconds) -> str:
    """What R-Drop brings and what it costs, in a sentence."""
    pair = tested(systems)
    if pair is None:
        return NOTHING
    rdrop, plain = pair
    *gains, last = (f"{gain(rdrop, plain, test, SACREBLEU).mean:+.1f} on {test}" for test in PUBLISHED)
    return (
        f"On Multi30k en-de R-Drop brings, in BLEU, {', '.join(gains)} and {last} over the best plain system "
        f"(sacreBLEU, mean of seeds {_seeds(rdrop)}); an update takes "
        f"{seconds[RDROP] / seconds[PLAIN]:.2f} times as long, and R-Drop was given "
        f"{_length(rdrop, seconds[RDROP])} of one CPU core, plain training {_length(plain, seconds[PLAIN])}."
    )


def ahead(systems: Systems, seconds: Seconds) -> str:
    """Since when R-Drop is ahead at equal time, by our time of an update and by that of fairseq's own."""
    pair = tested(systems)
    if pair is None:
        return NOTHING
    rdrop, plain = pair
    ours, in_tree = (ahead_for_good(rdrop, seconds[n], plain, seconds[PLAIN]) for n in (RDROP, IN_TREE))
    if ours is None or in_tree is None:
        return "In the end R-Drop is not ahead."
    end, plain_end = (mean_at(results, 1.0, math.inf) for results in pair)
    return (
        f"R-Drop is ahead for good after {ours / 60:.0f} minutes, by {end - plain_end:.2f} BLEU in the end. "
        f"In the time of fairseq's own R-Drop that would be so after {in_tree / 60:.0f} minutes."
    )


def test_table(systems: Systems, seconds: Seconds) -> str:
    pair = tested(systems)
    if pair is None:
        return NOTHING
    rdrop, plain = pair
    lines = [
        f"| test set | system | BLEU | chrF2 | R-Drop minus plain, BLEU | p of seed {_seeds(rdrop)} |",
        "|---|---|---|---|---|---|",
    ]
    for test in PUBLISHED:
        p_values = [r["scores"]["against"]["test"][test][SACREBLEU]["p_value"] for r in rdrop]
        cells = f"{gain(rdrop, plain, test, SACREBLEU)} | {', '.join(f'{p:.3f}' for p in p_values)}"
        for name, results, last in (("plain", plain, " | "), ("R-Drop", rdrop, cells)):
            figures = f"{scores(results, test, SACREBLEU)} | {scores(results, test, CHRF)}"
            lines.append(f"| {test} | {name} | {figures} | {last} |")
    signatures = {
        m: rdrop[0]["scores"]["test"]["Flickr 2016"][m]["signature"] for m in (SACREBLEU, CHRF, LOWERCASED)
    }
    lines += [
        "",
        "Tokenised and lowercased, as text-only figures are published (another model, BPE of 10,000):",
        "",
        "| test set | plain | R-Drop | Wu et al. 2021, transformer_tiny |",
        "|---|---|---|---|",
    ]
    for test, published in PUBLISHED.items():
        ours = f"{scores(plain, test, LOWERCASED)} | {scores(rdrop, test, LOWERCASED)}"
        lines.append(f"| {test} | {ours} | {published:.2f} |")
    return "\n".join(
        [*lines, "", *(f"- {metric}: `{signature}`" for metric, signature in signatures.items())]
    )


def valid_table(systems: Systems, seconds: Seconds) -> str:
    """Every run that was tried, on valid."""
    if not systems:
        return "No run is done yet."
    columns = ["system", "pairs", "parameters", "seeds", "updates to the best", "BLEU, greedy"]
    columns += [f"BLEU, beam 5: {NAMES[0]}", *NAMES[1:], "nll", "train nll"]
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for name, results in systems.items():
        best = [best_point(result["curve"]) for result in results]
        bleu = [str(spread) for spread in valid_scores(results)]
        cells = [
            name,
            _pairs(results[0]["pairs"]),
            f"{results[0]['parameters'] / 1e6:.1f} M",
            _seeds(results),
            f"{statistics.mean(point['update'] for point in best):,.0f}",
            Spread.of(point["bleu"] for point in best),
            *(bleu + ["-"] * len(AVERAGES))[: len(AVERAGES)],
            Spread.of(point["nll"] for point in best),
            Spread.of(point["train_nll"] for point in best),
        ]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def pays_table(systems: Systems, seconds: Seconds) -> str:
    """For each size of data and model R-Drop and plain training: the tested pair, or else the best on valid.

    Best in the mean of best checkpoint and averages, of the systems that have all of them.
    """
    gains = [f"R-Drop minus plain: {NAMES[0]}", *NAMES[1:]]
    columns = ["pairs", "parameters", "seeds", "plain", "its nll on train, on valid", "R-Drop", *gains]
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for (pairs, parameters), of_size in _sizes(systems).items():
        rdrop, plain = tested(of_size) or (_best(of_size, "rdrop"), _best(of_size, "plain"))
        if rdrop and plain:
            points = [best_point(result["curve"]) for result in plain]
            nll = [statistics.mean(point[key] for point in points) for key in ("train_nll", "nll")]
            means = zip(valid_scores(plain), valid_scores(rdrop), strict=True)
            cells = [_pairs(pairs), f"{parameters / 1e6:.1f} M", _seeds(rdrop), plain[0]["system"]]
            cells += [f"{nll[0]:.2f}, {nll[1]:.2f}", rdrop[0]["system"]]
            cells += [f"{b.mean - a.mean:+.2f}" for a, b in means]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) if len(lines) > 2 else "No two runs to compare are done yet."


def equal_table(systems: Systems, seconds: Seconds) -> str:
    """Each R-Drop system minus its baseline on valid at equal updates, for the seeds that both have."""
    columns = ["R-Drop", "minus", "seeds", *(f"after {u:,} updates: BLEU, nll" for u in EQUAL_UPDATES)]
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for name, results in systems.items():
        baseline = {result["seed"]: result for result in systems.get(results[0]["baseline"], [])}
        pairs = [(result, baseline[result["seed"]]) for result in results if result["seed"] in baseline]
        if pairs:
            cells = [name, results[0]["baseline"], _seeds([result for result, _ in pairs])]
            cells += [_difference_at(pairs, updates) for updates in EQUAL_UPDATES]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) if len(lines) > 2 else "No two runs to compare are done yet."


def _difference_at(pairs: list[tuple[Result, Result]], updates: int) -> str:
    """A dash where a run was not so long."""
    if any(result["curve"][-1]["update"] < updates for pair in pairs for result in pair):
        return "-"
    reached = [[_reached(result, updates) for result in pair] for pair in pairs]
    bleu, nll = (statistics.mean(rdrop[i] - plain[i] for rdrop, plain in reached) for i in (0, 1))
    return f"{bleu:+.2f}, {nll:+.2f}"


def _reached(result: Result, updates: int) -> tuple[float, float]:
    """The highest BLEU and the lowest nll on valid by then."""
    points = [point for point in result["curve"] if point["update"] <= updates]
    return max(point["bleu"] for point in points), min(point["nll"] for point in points)


def _sizes(systems: Systems) -> dict[tuple[str, int], Systems]:
    """{(pairs, parameters): systems}, in the order of runs.csv."""
    sizes: dict[tuple[str, int], Systems] = {}
    for name, results in systems.items():
        sizes.setdefault((results[0]["pairs"], results[0]["parameters"]), {})[name] = results
    return sizes


def _best(systems: Systems, criterion: str) -> list[Result]:
    """Nothing where none has all averages."""
    means = {
        name: sum(spread.mean for spread in spreads)
        for name, results in systems.items()
        if results[0]["criterion"] == criterion and len(spreads := valid_scores(results)) == len(AVERAGES)
    }
    return systems[max(means, key=means.__getitem__)] if means else []


def _length(results: list[Result], seconds: float) -> str:
    """Of trainings, in updates and in the time of undisturbed ones."""
    updates = statistics.mean(result["curve"][-1]["update"] for result in results)
    return f"{updates:,.0f} updates, {updates * seconds / 60:.0f} minutes"


def _seeds(results: list[Result]) -> str:
    return ", ".join(str(result["seed"]) for result in results)


def _pairs(pairs: str) -> str:
    return "29,000" if pairs == "all" else f"{int(pairs):,}"


BLOCKS = {
    "headline": headline,
    "ahead": ahead,
    "test": test_table,
    "valid": valid_table,
    "pays": pays_table,
    "equal": equal_table,
}
