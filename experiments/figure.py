"""The figures: Multi30k against time, and the loss by vocabulary.

A PNG's Description has a digest of its lines.
"""

import hashlib
import json
from pathlib import Path
from statistics import mean
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
from PIL import Image

from experiments.evidence import LONGEST_PLAIN, SCHEDULES, Systems
from experiments.rows import Row
from experiments.training_time import IN_TREE, PLAIN, PLAIN_FUSED, RDROP, Seconds, best_by, validations


def draw(systems: Systems, seconds: Seconds) -> Any:
    """Best BLEU on valid so far against the time of undisturbed updates; mean and range over the seeds.

    Of each schedule of R-Drop, and of the longest plain training.
    """
    figure, axis = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for number, (name, system) in enumerate({"plain": LONGEST_PLAIN, **SCHEDULES}.items()):
        results = systems[system]
        variants = {name: (seconds, "-")}
        kind, other = {"plain": (PLAIN, PLAIN_FUSED), "R-Drop": (RDROP, IN_TREE)}.get(name, ("", ""))
        if kind:  # dotted: at another price of an update
            variants[f"{name}, {other}"] = (seconds | {kind: seconds[other]}, ":")
        for label, (price, style) in variants.items():
            times = validations(results, price)
            minutes = [time / 60 for time in times]
            reached = [best_by(time, results, price) for time in times]
            axis.plot(minutes, [*map(mean, reached)], f"C{number}{style}", label=label)
            if style == "-":
                low, high = [*map(min, reached)], [*map(max, reached)]
                axis.fill_between(minutes, low, high, color=f"C{number}", alpha=0.2, linewidth=0)
    axis.set(
        xlabel="minutes of training on one CPU core", ylabel="best BLEU on valid so far", ylim=(25, None)
    )
    axis.grid(alpha=0.3)
    axis.legend(frameon=False, loc="lower right")
    return figure


def draw_losses(rows: list[Row]) -> Any:
    """Time over the three matrix products, and peak memory, by vocabulary, of a CSV of benchmark_loss.py."""
    curves: dict[str, dict[int, tuple[float, float]]] = {}
    for row in rows:
        of_vocab = curves.setdefault(row["contestant"], {})
        of_vocab[int(row["vocab"])] = float(row["median_ms"]), float(row["peak_mib"])
    products = curves.pop("matrix products")
    figure, (time_axis, memory_axis) = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained")
    for name, points in sorted(curves.items()):
        times = [milliseconds / products[vocab][0] for vocab, (milliseconds, _) in points.items()]
        time_axis.plot([*points], times, "o-", markersize=4, label=name)
        memory_axis.plot([*points], [mib for _, mib in points.values()], "o-", markersize=4)
    time_axis.set(ylabel="time / time of the three matrix products", ylim=(0, None))
    memory_axis.set(ylabel="peak memory (MiB)", yscale="log")
    for axis in (time_axis, memory_axis):
        axis.set(xlabel="vocabulary", xscale="log")
        axis.grid(alpha=0.3)
    time_axis.legend(frameon=False, fontsize=8)
    figure.suptitle("{passes} x {tokens} tokens, {dim} wide, {dtype}, {device}".format(**rows[0]))
    return figure


def digest(figure: Any) -> str:
    lines = [line for axis in figure.axes for line in axis.lines]
    drawn = [(line.get_label(), line.get_xydata().round(3).tolist()) for line in lines]
    return hashlib.sha256(json.dumps(drawn).encode()).hexdigest()


def save(figure: Any, out: Path) -> None:
    figure.savefig(out, dpi=110, metadata={"Software": None, "Description": digest(figure)})


def digest_of_file(path: Path) -> str:
    if not path.exists():
        return ""
    with Image.open(path) as image:
        return str(image.info.get("Description"))
