"""The tables and the figure about Multi30k, of what evidence.py has found."""

import statistics
from pathlib import Path

import matplotlib.pyplot as plt

from scripts.experiments.evidence import (
    Result,
    Spread,
    ahead_for_good,
    best_so_far,
    mean_at,
)
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
NOTHING = "No run has been scored on the test sets yet."


def tested(systems: Systems) -> tuple[str, str] | None:
    """(R-Drop, its baseline), the systems that the test sets were opened for."""
    for name, results in systems.items():
        if all("against" in result["scores"] for result in results):
            return name, results[0]["scores"]["against"]["run"].rpartition("-")[0]
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
    pair = tested(systems)
    if pair is None:
        return NOTHING
    rdrop, plain = (systems[name] for name in pair)
    difference = gain(rdrop, plain, "Flickr 2016", SACREBLEU)
    figures = " against ".join(str(scores(system, "Flickr 2016", SACREBLEU)) for system in (rdrop, plain))
    sentence = (
        f"On Multi30k en-de, trained to convergence, R-Drop brings {difference.mean:+.1f} BLEU over the best "
        f"plain system ({figures}, sacreBLEU, Flickr 2016, {difference.seeds} seeds); an update takes "
        f"{seconds[RDROP] / seconds[PLAIN]:.2f} times as long."
    )
    ahead = ahead_for_good(rdrop, seconds[RDROP], plain, seconds[PLAIN])
    if ahead is None:
        return f"{sentence} At equal time it is not ahead."
    return f"{sentence} At equal time it is ahead for good after {ahead / 60:.0f} minutes on one CPU core."


def test_table(systems: Systems, seconds: Seconds) -> str:
    pair = tested(systems)
    if pair is None:
        return NOTHING
    rdrop, plain = (systems[name] for name in pair)
    lines = [
        "| test set | system | BLEU | chrF2 | R-Drop minus plain, BLEU | p, by seed |",
        "|---|---|---|---|---|---|",
    ]
    for test in PUBLISHED:
        p_values = [r["scores"]["against"]["test"][test][SACREBLEU]["p_value"] for r in rdrop]
        cells = f"{gain(rdrop, plain, test, SACREBLEU)} | {', '.join(f'{p:.3f}' for p in p_values)}"
        for name, results, last in ((pair[1], plain, " | "), (pair[0], rdrop, cells)):
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
            ", ".join(str(result["seed"]) for result in results),
            f"{statistics.mean(point['update'] for point in best):,.0f}",
            Spread.of(point["bleu"] for point in best),
            *(bleu + ["-"] * len(AVERAGES))[: len(AVERAGES)],
            Spread.of(point["nll"] for point in best),
            Spread.of(point["train_nll"] for point in best),
        ]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def pays_table(systems: Systems, seconds: Seconds) -> str:
    """For each size of data and model, the best plain system on valid and the best with R-Drop.

    Best in the mean of best checkpoint and averages, of the systems that have all of them.
    """
    gains = [f"R-Drop minus plain: {NAMES[0]}", *NAMES[1:]]
    columns = ["pairs", "parameters", "plain", "its nll on train, on valid", "R-Drop", *gains]
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for (pairs, parameters), names in _sizes(systems).items():
        means = {name: [spread.mean for spread in valid_scores(systems[name])] for name in names}
        complete = [name for name in names if len(means[name]) == len(AVERAGES)]
        best: dict[str, str] = {}
        for name in sorted(complete, key=lambda name: sum(means[name])):
            best[systems[name][0]["criterion"]] = name
        if len(best) == 2:
            points = [best_point(result["curve"]) for result in systems[best["plain"]]]
            nll = [statistics.mean(point[key] for point in points) for key in ("train_nll", "nll")]
            pairs_of_means = zip(means[best["plain"]], means[best["rdrop"]], strict=True)
            cells = [_pairs(pairs), f"{parameters / 1e6:.1f} M", best["plain"], f"{nll[0]:.2f}, {nll[1]:.2f}"]
            cells += [best["rdrop"], *(f"{rdrop - plain:+.2f}" for plain, rdrop in pairs_of_means)]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) if len(lines) > 2 else "No two runs to compare are done yet."


def _sizes(systems: Systems) -> dict[tuple[str, int], list[str]]:
    """{(pairs, parameters): systems}, in the order of runs.csv."""
    sizes: dict[tuple[str, int], list[str]] = {}
    for name, results in systems.items():
        sizes.setdefault((results[0]["pairs"], results[0]["parameters"]), []).append(name)
    return sizes


def _pairs(pairs: str) -> str:
    return "29,000" if pairs == "all" else f"{int(pairs):,}"


BLOCKS = {"headline": headline, "test": test_table, "valid": valid_table, "pays": pays_table}


def draw(systems: Systems, seconds: Seconds, out: Path) -> None:
    """Best BLEU on valid so far against the time of undisturbed updates; mean and range over the seeds."""
    figure, axis = plt.subplots(figsize=(7, 4.5), layout="constrained")
    pair = tested(systems)
    chosen = pair[::-1] if pair else tuple(systems)
    variants = {"plain": [(PLAIN, "-"), (PLAIN_FUSED, ":")], "rdrop": [(RDROP, "-"), (IN_TREE, ":")]}
    for number, name in enumerate(chosen):
        results = systems[name]
        for contestant, style in variants[results[0]["criterion"]][: 2 if pair else 1]:
            if contestant not in seconds:
                continue
            each = seconds[contestant]
            times = sorted({time for result in results for time, _ in best_so_far(result, each)})
            curves = [[mean_at([result], each, time) for time in times] for result in results]
            minutes = [time / 60 for time in times]
            label = f"{name}, {contestant}" if style == ":" else name
            axis.plot(
                minutes,
                [statistics.mean(c) for c in zip(*curves, strict=True)],
                f"C{number}{style}",
                label=label,
            )
            if len(results) > 1 and style == "-":
                low, high = ([f(c) for c in zip(*curves, strict=True)] for f in (min, max))
                axis.fill_between(minutes, low, high, color=f"C{number}", alpha=0.2, linewidth=0)
    axis.set(
        xlabel="minutes of training on one CPU core", ylabel="best BLEU on valid so far", ylim=(25, None)
    )
    axis.grid(alpha=0.3)
    if axis.lines:
        axis.legend(frameon=False, loc="lower right")
    figure.savefig(out, dpi=110, metadata={"Software": None})
    plt.close(figure)
