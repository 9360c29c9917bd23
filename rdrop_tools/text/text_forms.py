"""The forms in which people keep parallel text: two files of lines, TSV, CSV, or JSON lines; plain or .gz.

A split is found by its name: train.de and train.en (or, as in FLORES, de.train and en.train), or one table,
train.tsv, train.csv or train.jsonl.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rdrop_tools.cli import InputError, input_file
from rdrop_tools.lines import Pair, iter_lines, read_pairs
from rdrop_tools.text.tables import Columns, Note, one_line, quoted_rows, table_pairs, tsv_rows

TABLES = (".tsv", ".csv", ".jsonl")
Files = tuple[Path, ...]  # of a split: two of lines, or one table


def text_pairs(files: Files, langs: list[str], columns: Columns | None, note: Note) -> Iterator[Pair]:
    """In a stream; without ``columns`` a table has them by the names of ``langs``, or has two.

    ``note`` gets a line for what was taken in one of several ways.
    """
    path = files[0]
    if len(files) == 2:
        return (one_line(*pair) for pair in read_pairs(*files))
    if _suffix(path) == ".jsonl":
        return _json_pairs(path, list(columns or langs))
    rows = quoted_rows(path, ",", note) if _suffix(path) == ".csv" else tsv_rows(path, note)
    return table_pairs(path, rows, langs, columns, note)


def find_text(folder: Path, names: list[str], langs: list[str]) -> Files:
    """The split of the first of these names that is there, in one form and whole."""
    for name in names:
        sides, as_in_flores = [f"{name}.{lang}" for lang in langs], [f"{lang}.{name}" for lang in langs]
        files = [*sides, *as_in_flores, *(f"{name}{suffix}" for suffix in TABLES)]
        paths = [path for file in files for end in ("", ".gz") if (path := folder / f"{file}{end}").exists()]
        if len(paths) == 1 and _suffix(paths[0]) in TABLES:
            return table_file(paths[0])
        if [path.name.removesuffix(".gz") for path in paths] in (sides, as_in_flores):
            return tuple(map(input_file, paths))
        if paths:
            there = " and ".join(path.name for path in paths)
            raise InputError(f"{folder} has {there}: expected {' and '.join(sides)}, or one table {name}")
    return ()


def table_file(path: Path) -> Files:
    if _suffix(path) not in TABLES:
        raise InputError(f"{path} must be a folder, or a table that ends in {', '.join(TABLES)} (or in .gz)")
    return (input_file(path),)


def _suffix(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).suffix


def _json_pairs(path: Path, keys: list[str]) -> Iterator[Pair]:
    """An object a line with the two keys, perhaps in one called translation, as datasets have it."""
    for number, line in enumerate(iter_lines(path), 1):
        if not line.strip():
            continue
        try:
            item: Any = json.loads(line)
            json.dumps(item, ensure_ascii=False).encode()  # half of a surrogate pair is no text
        except ValueError as error:
            raise InputError(f"{path}, line {number}: no JSON of text: {error}") from None
        if isinstance(item, dict) and isinstance(item.get("translation"), dict) and keys[0] not in item:
            item = item["translation"]
        texts = [item.get(key) for key in keys] if isinstance(item, dict) else []
        if [type(text) for text in texts] != [str, str]:
            raise InputError(f"{path}, line {number}: no texts with the keys {keys[0]} and {keys[1]}")
        yield one_line(*map(str, texts))
