"""Plot the CSV of benchmark_loss.py: time over the matrix products, and peak memory, by vocabulary size."""

import csv
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

from rdrop_tools import cli
from rdrop_tools.cli import InputError
from rdrop_tools.lines import check_outputs, iter_lines
from rdrop_tools.picture import panels, picture_file, save

BASELINE = "matrix products"
SAME = ("passes", "dim", "dtype", "device")  # in all rows of a picture
COLUMNS = ("contestant", "tokens", "vocab", "median_ms", "peak_mib", *SAME)

Curves = dict[str, dict[int, tuple[float, float]]]  # {contestant: {vocabulary: (milliseconds, MiB)}}


def read_curves(path: Path, tokens: int) -> tuple[Curves, dict[str, str]]:
    """The curves of the rows with so many tokens, and what these rows have in common.

    Raises:
        InputError: it is no CSV of benchmark_loss.py, or has no such rows; names the line.
    """
    curves: Curves = defaultdict(dict)
    common: dict[str, str] = {}
    lines = csv.DictReader(iter_lines(path), strict=True)
    try:
        if missing := set(COLUMNS) - set(lines.fieldnames or ()):
            raise InputError(f"{path} is not of benchmark_loss.py: it has no {', '.join(sorted(missing))}")
        for row in lines:
            if int(row["tokens"]) != tokens:
                continue
            common = common or {name: row[name] for name in SAME}
            if common != {name: row[name] for name in SAME}:
                raise ValueError(f"other {', '.join(SAME)} than the rows before")
            milliseconds, mib = float(row["median_ms"]), float(row["peak_mib"])
            if not (0 < milliseconds < math.inf and 0 <= mib < math.inf):
                raise ValueError("no time, or no memory")
            curves[row["contestant"]][int(row["vocab"])] = milliseconds, mib
    except (ValueError, TypeError, csv.Error) as error:  # TypeError: fewer values than columns
        raise InputError(f"{path}, line {lines.line_num}: {error}") from None
    if BASELINE not in curves:
        raise InputError(f"{path} has no rows of {BASELINE!r} with {tokens} tokens (--tokens)")
    return curves, common


def plot(curves: Curves, title: str) -> Any:
    products = curves.pop(BASELINE)
    figure, (time_axis, memory_axis) = panels(2, 5.5)
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
    figure.suptitle(title)
    return figure


def main() -> None:
    parser = cli.Parser(__doc__)
    parser.add_argument("csv", type=cli.input_file)
    parser.add_argument("--tokens", type=cli.integer(1), default=2048, help="rows with so many, of one pass")
    parser.add_argument("-o", "--out", type=picture_file, default="benchmark.png")
    args = parser.parse_args()
    check_outputs([args.out], [args.csv])
    curves, common = read_curves(args.csv, args.tokens)
    title = "{passes} x {tokens} tokens, {dim} wide, {dtype}, {device}".format(tokens=args.tokens, **common)
    save(plot(curves, title), args.out)


if __name__ == "__main__":
    cli.run(main)
