"""Rebuild from results/ the tables and the figures, and the rows that reached.py has: `make results`.

A page has them between <!-- results NAME --> and <!-- end -->, and single figures between <!-- value NAME -->
and <!-- end --> (values.py has the names). --check changes nothing and fails where what
is there is not what would be built; a figure is compared by its lines.
"""

import csv
import io
import re
from collections.abc import Mapping
from pathlib import Path

from experiments import benchmark_tables, figure, tables
from experiments.evidence import FINISHES, FROM_SCRATCH, Systems, brought, read_results
from experiments.rows import read_rows, table
from experiments.samsum_table import measured_gains, samsum_table
from experiments.training_time import STEPS, seconds_per_update
from experiments.values import WRONG_NAME, value
from experiments.workspace import ROOT
from rdrop_tools import cli
from rdrop_tools.lines import replacing

RESULTS = ROOT / "results"
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
        except WRONG_NAME as error:
            raise cli.InputError(f"{path}: value {match[2]}: {error!r}") from None

    return VALUE.sub(replace_value, BLOCK.sub(replace, path.read_text(encoding="utf-8")))


def gains(multi30k: Systems, samsum: Systems) -> list[list[str]]:
    """What R-Drop brought to a plain training with such a nll: reached.py tells it to who trains."""
    rows = []
    for begins, pairs in {"new": FROM_SCRATCH, "trained": FINISHES}.items():
        for number, parameters, *nll, gain in brought(multi30k, pairs):
            data = f"Multi30k en-de: {number} pairs and {parameters} parameters"
            rows.append(["translation", begins, data, *nll, f"{gain} BLEU on valid"])
    for begins, is_finish in {"new": False, "trained": True}.items():
        rows += [["summarization", begins, *row] for row in measured_gains(samsum, is_finish)]
    return rows


def gains_csv(rows: list[list[str]]) -> str:
    text = io.StringIO()
    columns = ["task", "begins", "data", "train_nll", "valid_nll", "gain"]
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    return text.getvalue()


def main() -> None:
    parser = cli.Parser(__doc__)
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    systems, screening, samsum = (read_results(RESULTS / n) for n in ("multi30k", "screening", "samsum"))
    seconds = seconds_per_update(STEPS)
    measured = {path.stem: read_rows(path) for path in (RESULTS / "benchmark").glob("*.csv")}
    from_scratch = {name: each for name, each in systems.items() if not each[0]["from"]}
    finishes = {name: each for name, each in systems.items() if each[0]["from"]}
    beside = {name: systems[name] for name in ("plain-10k", "rdrop-10k")}
    what_it_adds = gains(systems, samsum)
    blocks = {
        "headline": tables.headline(systems, seconds),
        "test": tables.test_table(systems),
        "price": tables.price_table(systems, seconds),
        "valid": tables.valid_table(from_scratch, seconds),
        "screening": tables.valid_table(beside | screening, seconds),
        "finish": tables.valid_table(finishes, seconds),
        "kl": tables.kl_table(systems | screening),
        "gains": table(
            ["task", "begins", "plain training", "nll on train", "nll on valid", "R-Drop adds"], what_it_adds
        ),
        "samsum": samsum_table(samsum),
        "gpu": benchmark_tables.gpu_table(RESULTS / "gpu"),
        "loss": benchmark_tables.loss_table(measured["loss-cpu-d512"]),
        "vocabulary": benchmark_tables.by_vocabulary(measured["loss-cpu"]),
        "step": benchmark_tables.step_table(measured["step-cpu"] + measured["step-multi30k"]),
        "huggingface": benchmark_tables.huggingface_table(measured["huggingface-cpu"]),
    }
    stale = []
    pages = {path: rebuilt(path, blocks) for path in PAGES}
    for path, text in (pages | {GAINS: gains_csv(what_it_adds)}).items():
        if text != path.read_text(encoding="utf-8"):
            stale.append(path)
            if not args.check:
                with replacing(path) as file:
                    file.write(text)
    drawn = {"multi30k": figure.draw(systems, seconds), "benchmark": figure.draw_losses(measured["loss-cpu"])}
    for path, picture in ((DOCS / f"{name}.png", picture) for name, picture in drawn.items()):
        if figure.digest(picture) != figure.digest_of_file(path):
            stale.append(path)
            if not args.check:
                figure.save(picture, path)
    for path in stale:
        print(f"{'stale' if args.check else 'rebuilt'}: {path.relative_to(ROOT)}")
    if args.check and stale:
        raise cli.InputError("run `make results` and commit what it changes")


if __name__ == "__main__":
    cli.run(main)
