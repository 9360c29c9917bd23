"""The figure: Multi30k against time. The PNG's Description has a digest of its lines."""

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


def digest(figure: Any) -> str:
    drawn = [(line.get_label(), line.get_xydata().round(3).tolist()) for line in figure.axes[0].lines]
    return hashlib.sha256(json.dumps(drawn).encode()).hexdigest()


def save(figure: Any, out: Path) -> None:
    figure.savefig(out, dpi=110, metadata={"Software": None, "Description": digest(figure)})


def digest_of_file(path: Path) -> str:
    with Image.open(path) as image:
        return str(image.info.get("Description"))
