#!/usr/bin/env python3
"""Plot loss, KL and BLEU over updates from a fairseq-train log (log formats simple and json)."""

import argparse
import json
import re
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

# "... | train_inner | epoch 001:  25 / 429 loss=9.1, num_updates=25, ..." or "... | valid | epoch 001 |
# valid on 'valid' subset | loss 7.2 | num_updates 400", or JSON with the same names after the prefix.
RECORD = re.compile(r"\| INFO \| (train_inner|valid) \| (.*)")
VALUE = re.compile(r"(\w+)[= ](-?\d+\.?\d*(?:e[-+]?\d+)?)(?=[,|\s]|$)")

Curves = dict[str, dict[int, float]]


def read_log(path: Path) -> dict[str, Curves]:
    """{"train_inner" | "valid": {name: {update: value}}}; what a resumed run did again counts once."""
    curves: dict[str, Curves] = {"train_inner": {}, "valid": {}}
    for line in path.read_text(encoding="utf-8").splitlines():
        record = RECORD.search(line)
        if not record:
            continue
        kind, text = record.groups()
        if text.startswith("{"):
            values = {key.removeprefix("valid_"): str(value) for key, value in json.loads(text).items()}
        else:
            values = dict(VALUE.findall(text))
        update = int(float(values["num_updates"]))
        for name, value in values.items():
            try:
                curves[kind].setdefault(name, {})[update] = float(value)
            except ValueError:  # a name, not a number
                continue
    return curves


def plot(log: Path, out: Path) -> None:
    curves = read_log(log)
    if not curves["train_inner"]:
        sys.exit(f"error: {log} has no train_inner lines; is it the log of fairseq-train?")
    panels = [
        ("loss (bits per token)", [("train_inner", "loss", "train"), ("valid", "loss", "valid")]),
        ("KL between passes (bits per token)", [("train_inner", "rdrop_kl_loss", "train")]),
        ("BLEU on valid, greedy", [("valid", "bleu", "valid")]),
    ]
    figure, axes = plt.subplots(1, len(panels), figsize=(13, 3.8), layout="constrained")
    for axis, (title, lines) in zip(axes, panels, strict=True):
        axis.set(title=title, xlabel="updates")
        axis.grid(alpha=0.3)
        for kind, name, label in lines:
            points = sorted(curves[kind].get(name, {}).items())
            if points:
                marker = "o" if kind == "valid" else None
                axis.plot(*zip(*points, strict=True), label=label, marker=marker, markersize=4)
        if axis.lines:
            axis.legend(frameon=False)
    figure.savefig(out, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("log", type=Path)
    parser.add_argument("-o", "--out", type=Path, default=Path("training.png"))
    args = parser.parse_args()
    if not args.log.is_file():
        sys.exit(f"error: {args.log} is not a file")
    plot(args.log, args.out)


if __name__ == "__main__":
    main()
