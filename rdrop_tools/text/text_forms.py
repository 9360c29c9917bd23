"""The forms in which people keep parallel text: two files of lines, TSV, CSV, or JSON lines; plain or .gz.

A split is found by its name: train.de and train.en, or one table, train.tsv, train.csv or train.jsonl.
"""

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rdrop_tools.cli import InputError, input_file
from rdrop_tools.lines import Pair, iter_lines, read_pairs

Columns = tuple[str, str]  # of source and target, by name or by number from 1
Row = tuple[int, list[str]]  # the line at which it ends, and its cells


@dataclass(frozen=True)
class Text:
    """One split as it was found: two files of lines, or one table."""

    files: tuple[Path, ...]

    def pairs(self, langs: list[str], columns: Columns | None) -> Iterator[Pair]:
        """In a stream; without ``columns`` a table has them by the names of ``langs``, or has two.

        Raises:
            InputError: a file can't be read, or is not such a table; names file and line.
        """
        if len(self.files) == 2:
            if columns:
                raise InputError(f"{self.files[0]} is no table: it has no columns to choose")
            return (_one_line(*pair) for pair in read_pairs(*self.files))
        path = self.files[0]
        return TABLES[_suffix(path)](path, langs, columns)


def find_text(folder: Path, names: list[str], langs: list[str]) -> Text | None:
    """The split of the first of these names that is there.

    Raises:
        InputError: it is there in two forms, or one of its sides is missing.
    """
    for name in names:
        sides = [_existing(folder / f"{name}.{lang}") for lang in langs]
        tables = [path for suffix in TABLES if (path := _existing(folder / f"{name}{suffix}"))]
        found = [path for path in (*sides, *tables) if path]
        if not found:
            continue
        if None not in sides and not tables:
            return Text(tuple(path for path in sides if path))
        if len(found) == 1 and tables:
            return Text((tables[0],))
        if len(found) == 1:
            other = langs[0] if sides[1] else langs[1]
            raise InputError(f"{found[0]} is there, but no {name}.{other} with its other side")
        raise InputError(f"{' and '.join(map(str, found))} are both there: leave one form of {name}")
    return None


def table_file(path: Path) -> Text:
    """
    Raises:
        InputError: it does not end as one.
    """
    if _suffix(path) not in TABLES:
        raise InputError(f"{path} must be a folder, or a table that ends in {', '.join(TABLES)} (or in .gz)")
    return Text((path,))


def _suffix(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).suffix


def _existing(path: Path) -> Path | None:
    """The file, plain or .gz."""
    found = [p for p in (path, path.with_name(f"{path.name}.gz")) if p.exists()]
    if len(found) > 1:
        raise InputError(f"{found[0]} and {found[1]} are both there: leave one")
    return input_file(found[0]) if found else None


def _one_line(source: str, target: str) -> Pair:
    """White space of any kind is one space: there are programs that end a line at U+2028."""
    return " ".join(source.split()), " ".join(target.split())


def _tsv(path: Path) -> Iterator[Row]:
    """No quoting, as in the tables of parallel corpora."""
    return ((number, line.split("\t")) for number, line in enumerate(iter_lines(path), 1))


def _csv(path: Path) -> Iterator[Row]:
    csv.field_size_limit(2**31 - 1)
    rows = csv.reader((f"{line}\n" for line in iter_lines(path)), strict=True)
    try:
        for row in rows:
            if row:
                yield rows.line_num, row
    except csv.Error as error:
        raise InputError(f"{path}, line {rows.line_num}: no CSV: {error}") from None


def _table_pairs(
    path: Path, rows: Iterator[Row], langs: list[str], columns: Columns | None
) -> Iterator[Pair]:
    """Columns that are named stand in the first row, which is then no pair."""
    number, first = next(rows, (1, []))
    header = [cell.strip() for cell in first]
    names = columns or (langs[0], langs[1])
    if all(name in header for name in names):
        indices = [header.index(name) for name in names]
    else:
        if columns is None and len(first) == 2:
            indices = [0, 1]
        elif columns and all(name.isdecimal() and int(name) > 0 for name in columns):
            indices = [int(name) - 1 for name in columns]
        else:
            raise InputError(
                f"{path} has no columns {' and '.join(names)} in its first line, which has {len(first)} "
                "columns: choose two by name or by number"
            )
        yield _cells(path, number, first, indices)
    for number, row in rows:
        yield _cells(path, number, row, indices)


def _cells(path: Path, number: int, row: list[str], indices: list[int]) -> Pair:
    if max(indices) >= len(row):
        raise InputError(f"{path}, line {number} has {len(row)} columns, {max(indices) + 1} are needed")
    return _one_line(row[indices[0]], row[indices[1]])


def _json_pairs(path: Path, langs: list[str], columns: Columns | None) -> Iterator[Pair]:
    """An object a line with the two keys, perhaps in one called translation, as datasets have it."""
    keys = columns or (langs[0], langs[1])
    for number, line in enumerate(iter_lines(path), 1):
        if not line.strip():
            continue
        try:
            item: Any = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}, line {number}: no JSON: {error}") from None
        if isinstance(item, dict) and isinstance(item.get("translation"), dict) and keys[0] not in item:
            item = item["translation"]
        texts = [item.get(key) for key in keys] if isinstance(item, dict) else []
        if [type(text) for text in texts] != [str, str]:
            raise InputError(f"{path}, line {number}: no texts with the keys {keys[0]} and {keys[1]}")
        source, target = map(str, texts)
        try:
            (source + target).encode()
        except UnicodeEncodeError as error:  # JSON can hold half of a surrogate pair
            raise InputError(f"{path}, line {number} is no text: {error}") from None
        yield _one_line(source, target)


TABLES: dict[str, Callable[[Path, list[str], Columns | None], Iterator[Pair]]] = {
    ".tsv": lambda path, langs, columns: _table_pairs(path, _tsv(path), langs, columns),
    ".csv": lambda path, langs, columns: _table_pairs(path, _csv(path), langs, columns),
    ".jsonl": _json_pairs,
}
