#!/usr/bin/env python3
"""Plot the CSV of benchmark_loss.py: time over the matrix products, and peak memory, by vocabulary size."""

import argparse
import csv
import sys
from collections import defaultdict
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

BASELINE = "matrix products"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("csv", type=Path)
    parser.add_argument(
        "--tokens", type=int, default=2048, help="target tokens of one pass; rows with others"
    )
    parser.add_argument("-o", "--out", type=Path, default=Path("benchmark.png"))
    args = parser.parse_args()
    if not args.csv.is_file():
        sys.exit(f"error: {args.csv} is not a file")
    with args.csv.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["tokens"] == str(args.tokens)]
    curves: dict[str, dict[int, tuple[float, float]]] = defaultdict(dict)
    for row in rows:
        curves[row["contestant"]][int(row["vocab"])] = float(row["median_ms"]), float(row["peak_mib"])
    products = curves.pop(BASELINE, {})
    if not products:
        sys.exit(f"error: {args.csv} has no rows of {BASELINE!r} with {args.tokens} tokens (--tokens)")

    figure, (time_axis, memory_axis) = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained")
    for name, points in sorted(curves.items()):
        vocabs = sorted(points.keys() & products.keys())
        times = [points[v][0] / products[v][0] for v in vocabs]
        time_axis.plot(vocabs, times, marker="o", markersize=4, label=name)
        memory_axis.plot(vocabs, [points[v][1] for v in vocabs], marker="o", markersize=4, label=name)
    time_axis.set(ylabel="time / time of the three matrix products", ylim=(0, None))
    memory_axis.set(ylabel="peak memory (MiB)", yscale="log")
    for axis in (time_axis, memory_axis):
        axis.set(xlabel="vocabulary", xscale="log")
        axis.grid(alpha=0.3)
    time_axis.legend(frameon=False, fontsize=8)
    figure.suptitle(
        f"2 x {args.tokens} tokens, {rows[0]['dim']} wide, {rows[0]['dtype']}, {rows[0]['device']}"
    )
    part = args.out.with_name("part." + args.out.name)
    figure.savefig(part, dpi=120)
    part.replace(args.out)


if __name__ == "__main__":
    main()
