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
from collections.abc import Callable
from functools import partial
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import numpy as np
from PIL import Image

from experiments import benchmark_tables, evidence, tables, training_time, valid_tables
from experiments.figure import draw, draw_losses
from experiments.kl_table import kl_table
from experiments.markdown_table import table
from experiments.samsum_table import measured_gains, samsum_table
from experiments.screening_table import screening_table
from experiments.values import value
from experiments.workspace import ROOT
from rdrop_tools import cli
from rdrop_tools.lines import read_lines, replacing

MULTI30K = ROOT / "results" / "multi30k"
SAMSUM = ROOT / "results" / "samsum"
GPU = ROOT / "results" / "gpu"
SCREENING = ROOT / "results" / "screening"
BENCHMARK = ROOT / "results" / "benchmark"
LOSSES = BENCHMARK / "loss-cpu.csv"
DOCS = ROOT / "docs"
GAINS = ROOT / "rdrop_tools" / "training" / "gains.csv"
PAGES = [ROOT / "README.md", ROOT / "results" / "PROTOCOL.md", *sorted(DOCS.glob("*.md"))]
PAGES += sorted(ROOT.glob("examples/*/README.md"))
BLOCK = re.compile(r"(<!-- results (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
VALUE = re.compile(r"(<!-- value (.+?) -->).*?(<!-- end -->)", re.DOTALL)


def text_of(path: Path) -> str:
    return "".join(f"{line}\n" for line in read_lines(path))


def rebuilt(path: Path, blocks: dict[str, Callable[[], str]]) -> str:
    """The page with its blocks and values made anew. Raises InputError for one that nobody makes."""

    def replace(match: re.Match[str]) -> str:
        if match[2] not in blocks:
            raise cli.InputError(f"{path}: results {match[2]} is none of {', '.join(blocks)}")
        return f"{match[1]}{blocks[match[2]]()}\n{match[3]}"

    def replace_value(match: re.Match[str]) -> str:
        try:
            return f"{match[1]}{value(ROOT / 'results', match[2])}{match[3]}"
        except cli.InputError as error:
            raise cli.InputError(f"{path}: {error}") from None

    return VALUE.sub(replace_value, BLOCK.sub(replace, text_of(path)))


def gains_csv(translation: list[evidence.Brought], summarization: list[tuple[str, ...]]) -> str:
    """What R-Drop brought to a plain training with such a nll: reached.py tells it to who trains."""
    rows: list[tuple[str, ...]] = [("task", "data", "train_nll", "valid_nll", "gain")]
    for row in translation:
        data = f"Multi30k en-de: {row.size[0]} pairs and {row.size[1]} parameters"
        gain = f"{row.bleu:+.2f} BLEU on valid"
        rows.append(("translation", data, f"{row.train_nll:.2f}", f"{row.valid_nll:.2f}", gain))
    rows += [("summarization", *row) for row in summarization]
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
    systems = evidence.read_results(MULTI30K)
    seconds = training_time.seconds_per_update(training_time.STEPS)
    blocks: dict[str, Callable[[], str]] = {
        name: partial(block, systems, seconds)
        for name, block in (tables.BLOCKS | valid_tables.BLOCKS).items()
    }
    summarization = measured_gains(evidence.read_results(SAMSUM))
    columns = ["plain training", "nll on train", "nll on valid", "R-Drop adds"]
    blocks["summarization"] = partial(table, columns, summarization)
    blocks["samsum"] = lambda: samsum_table(evidence.read_results(SAMSUM))
    blocks["gpu"] = lambda: benchmark_tables.gpu_table(benchmark_tables.read_measurements(GPU))
    for name, make, files in (
        ("loss", benchmark_tables.loss_table, ["loss-cpu-d512"]),
        ("vocabulary", benchmark_tables.by_vocabulary, ["loss-cpu"]),
        ("step", benchmark_tables.step_table, ["step-cpu", "step-multi30k"]),
        ("huggingface", benchmark_tables.huggingface_table, ["huggingface-cpu"]),
    ):
        measured = [row for file in files for row in benchmark_tables.read_rows(BENCHMARK / f"{file}.csv")]
        blocks[name] = partial(make, measured)
    blocks["screening"] = lambda: screening_table(evidence.read_results(SCREENING), systems, seconds)
    blocks["kl"] = lambda: kl_table(systems, evidence.read_results(SCREENING))
    pages = {path: rebuilt(path, blocks) for path in PAGES}
    pages[GAINS] = gains_csv(evidence.brought(systems), summarization)
    stale = []
    for path, text in pages.items():
        if not path.exists() or text != text_of(path):
            stale.append(path)
            if not args.check:
                with replacing(path) as file:
                    file.write(text)
    figures: dict[str, Callable[[Path], None]] = {"benchmark.png": partial(draw_losses, LOSSES)}
    if systems:
        figures["multi30k.png"] = partial(draw, systems, seconds)
    with tempfile.TemporaryDirectory() as folder:
        for name, draw_to in figures.items():
            draw_to(Path(folder) / name)
            if not is_same_figure(Path(folder) / name, DOCS / name):
                stale.append(DOCS / name)
                if not args.check:
                    shutil.copyfile(Path(folder) / name, DOCS / name)
    for path in stale:
        print(f"{'stale' if args.check else 'rebuilt'}: {path.relative_to(ROOT)}")
    if args.check and stale:
        raise cli.InputError("run `make results` and commit what it changes")


if __name__ == "__main__":
    cli.run(main)
