"""Rebuild from results/ the tables and the figures, and the rows that reached.py has: `make results`.

A page has them between <!-- results NAME --> and <!-- end -->, and single figures between <!-- value NAME -->
and <!-- end --> (values.py has the names). --check changes nothing and fails where what
is there is not what would be built; a figure is compared by its lines and its pixels.
"""

import csv
import io
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import numpy as np
from PIL import Image

from experiments import benchmark_tables, tables, valid_tables
from experiments.evidence import Systems, brought, brought_by_finish, read_results
from experiments.figure import draw, draw_losses
from experiments.rows import read_rows, table
from experiments.samsum_table import measured_gains, samsum_table
from experiments.training_time import STEPS, seconds_per_update
from experiments.values import value
from experiments.workspace import ROOT
from rdrop_tools import cli
from rdrop_tools.lines import replacing

RESULTS = ROOT / "results"
LOSSES = RESULTS / "benchmark" / "loss-cpu.csv"
DOCS = ROOT / "docs"
GAINS = ROOT / "rdrop_tools" / "training" / "gains.csv"
PAGES = [ROOT / "README.md", RESULTS / "PROTOCOL.md", *sorted(DOCS.glob("*.md"))]
PAGES += sorted(ROOT.glob("examples/*/README.md"))
BLOCK = re.compile(r"(<!-- results (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
VALUE = re.compile(r"(<!-- value (.+?) -->).*?(<!-- end -->)", re.DOTALL)


def rebuilt(path: Path, blocks: Mapping[str, str]) -> str:
    """The page with its blocks and values made anew. Raises InputError for one that nobody makes."""

    def replace(match: re.Match[str]) -> str:
        if match[2] not in blocks:
            raise cli.InputError(f"{path}: results {match[2]} is none of {', '.join(blocks)}")
        return f"{match[1]}{blocks[match[2]]}\n{match[3]}"

    def replace_value(match: re.Match[str]) -> str:
        try:
            return f"{match[1]}{value(RESULTS, match[2])}{match[3]}"
        except cli.InputError as error:
            raise cli.InputError(f"{path}: {error}") from None

    return VALUE.sub(replace_value, BLOCK.sub(replace, path.read_text(encoding="utf-8")))


def gains_csv(multi30k: Systems, samsum: Systems) -> str:
    """What R-Drop brought to a plain training with such a nll: reached.py tells it to who trains."""
    rows = [["task", "begins", "data", "train_nll", "valid_nll", "gain"]]
    for begins, found in {"new": brought(multi30k), "trained": brought_by_finish(multi30k)}.items():
        for pairs, parameters, _, *nll, gain in found:
            data = f"Multi30k en-de: {pairs} pairs and {parameters} parameters"
            rows.append(["translation", begins, data, *nll, f"{gain} BLEU on valid"])
    for begins, is_finish in {"new": False, "trained": True}.items():
        rows += [["summarization", begins, *row] for row in measured_gains(samsum, is_finish)]
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _picture(path: Path) -> tuple[np.ndarray, str]:
    """Pixels, and what figure.py says of the lines."""
    with Image.open(path) as image:
        return np.asarray(image, dtype=float) / 255, image.info.get("Description", "")


def is_same_figure(first: Path, second: Path) -> bool:
    """The same lines; another version of matplotlib may draw a letter's edge in another grey."""
    if not second.exists():
        return False
    (a, lines), (b, other_lines) = (_picture(path) for path in (first, second))
    return lines == other_lines and a.shape == b.shape and float(np.abs(a - b).mean()) < 0.01


def main() -> None:
    parser = cli.Parser(__doc__)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    systems, screening, samsum = (read_results(RESULTS / n) for n in ("multi30k", "screening", "samsum"))
    seconds = seconds_per_update(STEPS)
    measured = {path.stem: read_rows(path) for path in LOSSES.parent.glob("*.csv")}
    makers = tables.BLOCKS | valid_tables.BLOCKS
    blocks = {name: make(systems, seconds) for name, make in makers.items()} | {
        "screening": valid_tables.screening_table(screening, systems, seconds),
        "kl": valid_tables.kl_table(systems, screening),
        "samsum": samsum_table(samsum),
        "summarization": table(
            ["plain training", "nll on train", "nll on valid", "R-Drop adds"], measured_gains(samsum)
        ),
        "gpu": benchmark_tables.gpu_table(RESULTS / "gpu"),
        "loss": benchmark_tables.loss_table(measured["loss-cpu-d512"]),
        "vocabulary": benchmark_tables.by_vocabulary(measured["loss-cpu"]),
        "step": benchmark_tables.step_table(measured["step-cpu"] + measured["step-multi30k"]),
        "huggingface": benchmark_tables.huggingface_table(measured["huggingface-cpu"]),
    }
    stale = []
    pages = {path: rebuilt(path, blocks) for path in PAGES}
    for path, text in (pages | {GAINS: gains_csv(systems, samsum)}).items():
        if text != path.read_text(encoding="utf-8"):
            stale.append(path)
            if not args.check:
                with replacing(path) as file:
                    file.write(text)
    with tempfile.TemporaryDirectory() as folder:
        draw_losses(LOSSES, Path(folder) / "benchmark.png")
        draw(systems, seconds, Path(folder) / "multi30k.png")
        for drawn in Path(folder).iterdir():
            if not is_same_figure(drawn, DOCS / drawn.name):
                stale.append(DOCS / drawn.name)
                if not args.check:
                    shutil.copyfile(drawn, DOCS / drawn.name)
    for path in stale:
        print(f"{'stale' if args.check else 'rebuilt'}: {path.relative_to(ROOT)}")
    if args.check and stale:
        raise cli.InputError("run `make results` and commit what it changes")


if __name__ == "__main__":
    cli.run(main)
