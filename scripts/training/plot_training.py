#!/usr/bin/env python3
"""Plot loss, KL, BLEU and speed from any number of fairseq-train logs (log formats simple and json)."""

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

# "... | train_inner | epoch 001:  25 / 429 loss=9.1, num_updates=25, ..." or "... | valid | epoch 001 |
# valid on 'valid' subset | loss 7.2 | num_updates 400", or JSON with the same names after the prefix.
# fairseq-hydra-train has "[train_inner][INFO] - " for the prefix.
RECORD = re.compile(
    r"(?:\| INFO \| (train_inner|train|valid) \| |\[(train_inner|train|valid)\]\[INFO\] - )(.*)"
)
VALUE = re.compile(r"(\w+)[= ](-?\d+\.?\d*(?:e[-+]?\d+)?)(?=[,|\s]|$)")
POSITION = re.compile(r"^epoch (\d+):\s+(\d+) / (\d+)")

Curves = dict[str, dict[int, float]]


def read_log(path: Path) -> dict[str, Curves]:
    """{"train_inner" | "train" | "valid": {name: {update: value}}}; what was done again counts once.

    "train" is of whole epochs. Among the names of train_inner is ``position``, in epochs. ``wall`` is over
    all runs: a resumed one starts again at 0.
    """
    curves: dict[str, Curves] = {"train_inner": {}, "train": {}, "valid": {}}
    wall = earlier = 0.0
    for line in path.read_text(encoding="utf-8").splitlines():
        record = RECORD.search(line)
        if not record:
            continue
        kind, text = record.group(1) or record.group(2), record.group(3)
        if text.startswith("{"):
            values = {key.removeprefix(f"{kind}_"): str(value) for key, value in json.loads(text).items()}
            if kind == "train_inner" and "update" in values:
                values["position"] = values["update"]  # fairseq's name for it
        else:
            values = dict(VALUE.findall(text))
            if position := POSITION.match(text):
                epoch, batch, batches = map(int, position.groups())
                values["position"] = str(epoch - 1 + batch / batches)
        update = int(float(values["num_updates"]))
        if kind == "train_inner" and "wall" in values:
            if float(values["wall"]) < wall:
                earlier += wall
            wall = float(values["wall"])
            values["wall"] = str(earlier + wall)
        for name, value in values.items():
            try:
                curves[kind].setdefault(name, {})[update] = float(value)
            except ValueError:  # a name, not a number
                continue
    return curves


def x_axis(curves: dict[str, Curves], x: str) -> Callable[[int], float]:
    """From an update to its place on the x axis, between the train_inner records where it is not one."""
    if x == "update":
        return float
    points = curves["train_inner"].get({"epoch": "position", "time": "wall"}[x], {})
    if not points:
        sys.exit(f"error: no log line has what --x {x} needs")
    unit = 3600 if x == "time" else 1
    updates = sorted(points)

    def place(update: int) -> float:
        before = max((u for u in updates if u <= update), default=updates[0])
        after = min((u for u in updates if u >= update), default=updates[-1])
        share = (update - before) / (after - before) if after > before else 0.0
        return (points[before] + share * (points[after] - points[before])) / unit

    return place


def plot(logs: list[Path], out: Path, x: str) -> None:
    panels = [
        ("loss (bits per token)", [("train_inner", "loss", "train"), ("valid", "loss", "valid")]),
        ("KL between passes (bits per token)", [("train_inner", "rdrop_kl_loss", "train")]),
        ("BLEU on valid", [("valid", "bleu", "valid")]),
        ("words per second", [("train_inner", "wps", "train")]),
    ]
    figure, axes = plt.subplots(1, len(panels), figsize=(4.3 * len(panels), 3.8), layout="constrained")
    label_of_x = {"update": "updates", "epoch": "epochs", "time": "hours of training"}[x]
    for axis, (title, _) in zip(axes, panels, strict=True):
        axis.set(title=title, xlabel=label_of_x)
        axis.grid(alpha=0.3)
    for number, log in enumerate(logs):
        curves = read_log(log)
        if not curves["train_inner"]:
            sys.exit(f"error: {log} has no train_inner lines; is it the log of fairseq-train?")
        place = x_axis(curves, x)
        run = f"{log.parent.name or log.stem} " if len(logs) > 1 else ""
        for axis, (_, lines) in zip(axes, panels, strict=True):
            for line, (kind, name, label) in enumerate(lines):
                points = [
                    (place(update), value) for update, value in sorted(curves[kind].get(name, {}).items())
                ]
                if points:
                    # One log: a colour for each line. Several: a colour for each log.
                    style = {
                        "color": f"C{number if run else line}",
                        "linestyle": "--" if run and line else "-",
                    }
                    marker = "o" if kind == "valid" else None
                    axis.plot(
                        *zip(*points, strict=True), label=run + label, marker=marker, markersize=4, **style
                    )
    for axis in axes:
        if axis.lines:
            axis.legend(frameon=False)
    figure.savefig(out, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("logs", type=Path, nargs="+", metavar="LOG")
    parser.add_argument("-o", "--out", type=Path, default=Path("training.png"))
    parser.add_argument("--x", choices=["update", "epoch", "time"], default="update", help="wall-clock: time")
    args = parser.parse_args()
    for log in args.logs:
        if not log.is_file():
            sys.exit(f"error: {log} is not a file")
    plot(args.logs, args.out, args.x)


if __name__ == "__main__":
    main()
