"""Tables of text, TSV and CSV: their rows, and which two columns are the source and the target.

No row is cut wrong in silence: each has as many cells as the first. What could be taken in two ways is asked
about in one line, or the way that was taken is noted.
"""

import csv
import re
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rdrop_tools.cli import InputError
from rdrop_tools.lines import Pair, iter_lines

Columns = tuple[str, str]  # of source and target, by name or by number from 1
Note = Callable[[str], None]  # takes a line for the user
Row = tuple[int, list[str]]  # the line at which it begins, and its cells

HOW = "SRC_COLUMN and TGT_COLUMN (--columns)"
# What may be a name of a column: a few words without an end of a sentence.
NAME = re.compile(r"[^\W\d]\S{0,30}( \S{1,30}){0,2}(?<![.!?,;:…。！？।])")  # noqa: RUF001
OPENED = re.compile(r'(?:^|\t)"')  # a cell that begins with a quote


def one_line(source: str, target: str) -> Pair:
    """White space of any kind is one space: there are programs that end a line at U+2028."""
    return " ".join(source.split()), " ".join(target.split())


def table_pairs(
    path: Path, rows: Iterator[Row], langs: list[str], columns: Columns | None, note: Note
) -> Iterator[Pair]:
    """Columns that are named stand in the first row, which is then no pair."""
    _, first = next(rows, (1, []))
    indices, is_header = choose_columns(path, first, langs, columns)
    if not is_header:
        source, target = pair = one_line(*(first[index] for index in indices))
        taken = f"{langs[0]}: {source[:60]}, {langs[1]}: {target[:60]}"
        note(f"{path}: the first line is taken for a pair, {taken}")
        yield pair
    for number, row in rows:
        if len(row) != len(first):
            raise InputError(
                f"{path}, line {number} has {len(row)} columns, and the first line has {len(first)}: "
                "is there a separator in the text?"
            )
        yield one_line(*(row[index] for index in indices))


def choose_columns(
    path: Path, first: list[str], langs: list[str], columns: Columns | None
) -> tuple[list[int], bool]:
    """The places of source and target; and whether the first row has their names, in whatever case."""
    names = list(columns or langs)
    header = [_plain(cell) for cell in first]
    wanted = [_plain(name) for name in names]
    if [header.count(name) for name in wanted] == [1, 1]:
        return [header.index(name) for name in wanted], True
    if columns is None and len(first) == 2:
        if all(map(NAME.fullmatch, first)):
            raise InputError(
                f"{path}, line 1: are {first[0]!r} and {first[1]!r} names of columns? Then choose them by "
                f"name, or, if they are a pair of the text, by the numbers 1 and 2: {HOW}"
            )
        return [0, 1], False
    if all(name.isdecimal() and 0 < int(name) <= len(first) for name in names):
        return [int(name) - 1 for name in names], False
    raise InputError(
        f"{path}, line 1: {' and '.join(names)} do not name two of its {len(first)} columns, once each: "
        f"choose by name or by number: {HOW}"
    )


def _plain(name: str) -> str:
    return name.strip().casefold().replace("-", "_")


def quoted_rows(path: Path, delimiter: str, note: Note) -> Iterator[Row]:
    """Those that go over several lines are noted, as a quote that never closes may make them."""
    csv.field_size_limit(2**31 - 1)
    lines = (f"{line}\n" for line in iter_lines(path))
    rows = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=delimiter == ",")
    first, longest = 1, (1, 1)  # the lines of a row, and the first of them
    try:
        for row in rows:
            if row:
                yield first, row
            longest = max(longest, (rows.line_num + 1 - first, first))
            first = rows.line_num + 1
    except csv.Error as error:
        said = f"no CSV: {error}; is there a quote that never closes?"
        raise InputError(f"{path}, line {first}: {said}") from None
    if longest[0] > 1:
        note(f"{path}: rows go over up to {longest[0]} lines, as cells in quotes may: see line {longest[1]}")


def tsv_rows(path: Path, note: Note) -> Iterator[Row]:
    """Without quoting, as in the tables of parallel corpora, unless all of it is as csv's writer has it."""
    opened = sum(bool(OPENED.search(line)) for line in iter_lines(path))
    if opened and (_is_written(path, csv.QUOTE_MINIMAL) or _is_written(path, csv.QUOTE_ALL)):
        note(f"{path}: {opened} lines have cells in quotes, as CSV has, which are taken off")
        yield from quoted_rows(path, "\t", note)
        return
    if opened:
        note(f"{path}: {opened} lines have cells that begin with a quote, which stays: not all are as in CSV")
    for number, line in enumerate(iter_lines(path), 1):
        if line:
            yield number, line.split("\t")


def _is_written(path: Path, quoting: Any) -> bool:
    """Whether csv's writer, which pandas takes too, would write the table as it stands."""
    to_text = SimpleNamespace(write=str)  # writerow returns what its write returns
    writer = csv.writer(to_text, delimiter="\t", quoting=quoting, lineterminator="\n")
    rows = quoted_rows(path, "\t", lambda _: None)
    written = (line for _, row in rows for line in str(writer.writerow(row)).split("\n") if line)
    try:
        return all(one == other for one, other in zip_longest(filter(None, iter_lines(path)), written))
    except InputError:  # no CSV
        return False
