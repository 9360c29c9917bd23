"""Rows of tables: read from a CSV, and written in Markdown."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from rdrop_tools.lines import read_lines

Row = dict[str, str]


def read_rows(path: Path) -> list[Row]:
    return [*csv.DictReader(read_lines(path))]


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    head, *lines = (f"| {' | '.join(map(str, cells))} |" for cells in (columns, *rows))
    return "\n".join([head, "|---" * len(columns) + "|", *lines])
