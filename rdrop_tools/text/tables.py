"""Tables of text, TSV and CSV: their rows, and which two columns are the source and the target.

No row is cut wrong in silence: each has as many cells as the first. What could be taken in two ways is asked
about in one line, or the way that was taken is noted.
"""

import csv
import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from rdrop_tools.cli import InputError
from rdrop_tools.lines import Pair, iter_lines

Columns = tuple[str, str]  # of source and target, by name or by number from 1
Note = Callable[[str], None]  # takes a line for the user
Row = tuple[int, list[str]]  # the line at which it begins, and its cells

HOW = "SRC_COLUMN and TGT_COLUMN (--columns)"
NAME = re.compile(r"[^\W\d]\S{0,30}( \S{1,30}){0,2}(?<![.!?,;:…。！？।])")  # noqa: RUF001
NUMBER = re.compile(r"[-+]?\d+([.,]\d+)?")
# Which cells a program that writes TSV puts in quotes.
QUOTED: dict[str, Callable[[str], bool]] = {
    "where they must be": lambda cell: any(sign in cell for sign in '"\t\n'),
    "as by Excel": lambda cell: any(sign in cell for sign in '",\t\n'),
    "all": lambda _: True,
    "all but numbers": lambda cell: not NUMBER.fullmatch(cell),
    "all but numbers and empty ones": lambda cell: bool(cell) and not NUMBER.fullmatch(cell),
}


def one_line(source: str, target: str) -> Pair:
    """White space of any kind is one space: there are programs that end a line at U+2028."""
    return " ".join(source.split()), " ".join(target.split())


def table_pairs(
    path: Path, rows: Iterator[Row], langs: list[str], columns: Columns | None, note: Note
) -> Iterator[Pair]:
    """Columns that are named stand in the first row, which is then no pair."""
    number, first = next(rows, (1, []))
    indices, is_header = choose_columns(path, first, langs, columns, note)
    if not is_header:
        yield one_line(*(first[index] for index in indices))
    for number, row in rows:
        if len(row) != len(first):
            raise InputError(
                f"{path}, line {number} has {len(row)} columns, and the first line has {len(first)}: "
                "is there a separator in the text?"
            )
        yield one_line(*(row[index] for index in indices))


def choose_columns(
    path: Path, first: list[str], langs: list[str], columns: Columns | None, note: Note
) -> tuple[list[int], bool]:
    """The places of source and target; and whether the first row has their names."""
    header = [cell.strip() for cell in first]
    names = list(columns or langs)
    found = [_places(header, name) for name in names]
    if all(found):
        for name, places in zip(names, found, strict=True):
            if len(places) > 1:
                raise InputError(
                    f"{path} names the column {name} {len(places)} times in its first line: rename one"
                )
        return [places[0] for places in found], True
    if columns and all(name.isdecimal() and int(name) > 0 for name in columns):
        indices = [int(name) - 1 for name in columns]
        if max(indices) >= len(first):
            raise InputError(f"{path}, line 1 has {len(first)} columns, {max(indices) + 1} are needed")
        cells = [header[index] for index in indices]
        if all(map(NAME.fullmatch, cells)):
            note(f"{path}: the first line is taken for a pair, as columns are numbered: {' | '.join(cells)}")
        return indices, False
    if columns or len(first) != 2:
        raise InputError(
            f"{path} has no columns {' and '.join(names)} in its first line, which has {len(first)} columns: "
            f"choose two by name or by number: {HOW}"
        )
    if all(map(NAME.fullmatch, header)):
        raise InputError(
            f"{path}, line 1: are {header[0]!r} and {header[1]!r} names of columns? Then choose them by "
            f"name, or, if they are a pair of the text, by the numbers 1 and 2: {HOW}"
        )
    taken = f"the first column is taken for {langs[0]}, the second for {langs[1]}"
    note(f"{path}: {taken}, and line 1 for a pair: {' | '.join(cell[:60] for cell in header)}")
    return [0, 1], False


def _places(header: list[str], name: str) -> list[int]:
    """Of the columns with this name; if there are none, of those that differ in case, or by - for _."""
    plain_name, *plain = (text.casefold().replace("-", "_") for text in (name, *header))
    found = [place for place, cell in enumerate(header) if cell == name]
    return found or [place for place, cell in enumerate(plain) if cell == plain_name]


def _reader(path: Path, delimiter: str) -> Any:
    """csv's, of the type that it does not name; its ``line_num`` is the number of the last line of a row."""
    csv.field_size_limit(2**31 - 1)
    lines = (f"{line}\n" for line in iter_lines(path))
    return csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=delimiter == ",")


def quoted_rows(path: Path, delimiter: str, note: Note) -> Iterator[Row]:
    """Those that go over several lines are noted, as a quote that never closes may make them."""
    several = longest = 0
    where = ""
    rows, first = _reader(path, delimiter), 1
    try:
        for row in rows:
            more = rows.line_num - first
            several += more > 0
            if more > longest:
                longest, where = more, f"lines {first} to {rows.line_num}"
            if row:
                yield first, row
            first = rows.line_num + 1
    except csv.Error as error:
        at = f" (line {rows.line_num})" if rows.line_num > first else ""
        said = f"no CSV: {error}{at}; is there a quote that never closes?"
        raise InputError(f"{path}, line {first}: {said}") from None
    if several:
        note(f"{path}: {several} rows go over several lines, as cells in quotes may; the longest is {where}")


def tsv_rows(path: Path, note: Note) -> Iterator[Row]:
    """Without quoting, as in the tables of parallel corpora, unless all of it is as a program would quote."""
    if way := _quoting(path):
        note(f"{path}: cells are in quotes ({way}), which are taken off")
        yield from quoted_rows(path, "\t", note)
        return
    kept = 0
    for number, line in enumerate(iter_lines(path), 1):
        if line:
            row = line.split("\t")
            kept += sum(len(cell) > 1 and cell[0] == cell[-1] == '"' for cell in row)
            yield number, row
    if kept:
        note(f"{path}: {kept} cells begin and end with a quote, which stays: not all of the table is quoted")


def _quoting(path: Path) -> str | None:
    """The way in which all rows after the first, which may be names, have quotes; None if no cell has any."""
    ways = dict(QUOTED)
    rows, lines, read = _reader(path, "\t"), iter_lines(path), 0
    quotes, width = False, 0
    try:
        for row in rows:
            text = "\n".join(islice(lines, rows.line_num - read))
            read = rows.line_num
            if not row:
                continue
            quotes = quotes or '"' in text
            for way, is_quoted in list(ways.items()) if width else ():
                if text != "\t".join(_in_quotes(cell) if is_quoted(cell) else cell for cell in row):
                    del ways[way]
            width = width or len(row)
            if not ways or len(row) != width:
                return None
    except csv.Error:
        return None
    return next(iter(ways)) if quotes else None


def _in_quotes(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'
