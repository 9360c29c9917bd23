"""The forms in which people keep parallel text: two files of lines, TSV, CSV, or JSON lines; plain or .gz.

A split is found by its name: train.de and train.en (or, as in FLORES, de.train and en.train), or one table,
train.tsv, train.csv or train.jsonl.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rdrop_tools.cli import InputError, input_file
from rdrop_tools.lines import Pair, iter_lines, read_pairs
from rdrop_tools.text.tables import Columns, Note, one_line, quoted_rows, table_pairs, tsv_rows

# The names that people give to the parts of a corpus, those of datasets and of FLORES among them.
SPLIT = re.compile(
    r"(?<![a-z])(train(ing)?|valid(ation)?|val|(news)?dev(el)?|(news|dev)?test|tst|eval)(set)?(?![a-z])",
    re.IGNORECASE,
)


TABLES = (".tsv", ".csv", ".jsonl")
Files = tuple[Path, ...]  # of a split: two of lines, or one table


def text_pairs(files: Files, langs: list[str], columns: Columns | None, note: Note) -> Iterator[Pair]:
    """In a stream; without ``columns`` a table has them by the names of ``langs``, or has two.

    ``note`` gets a line for what was taken in one of several ways.
    """
    path = files[0]
    if len(files) == 2:
        if columns:
            raise InputError(f"{path} is no table: it has no columns to choose")
        return (one_line(*pair) for pair in read_pairs(*files))
    if _suffix(path) == ".jsonl":
        return _json_pairs(path, list(columns or langs))
    rows = quoted_rows(path, ",", note) if _suffix(path) == ".csv" else tsv_rows(path, note)
    return table_pairs(path, rows, langs, columns, note)


def find_text(folder: Path, names: list[str], langs: list[str]) -> Files:
    """The split of the first of these names that is there, in one form and whole."""
    for name in names:
        sides = [
            _existing(folder / f"{name}.{lang}") or _existing(folder / f"{lang}.{name}") for lang in langs
        ]
        tables = [path for suffix in TABLES if (path := _existing(folder / f"{name}{suffix}"))]
        found = [path for path in (*sides, *tables) if path]
        if not found:
            continue
        if found in (sides, tables[:1]):
            return tuple(found)
        if len(found) == 1:
            other = langs[0] if sides[1] else langs[1]
            raise InputError(f"{found[0]} is there, but no {name}.{other} with its other side")
        raise InputError(f"{' and '.join(map(str, found))} are both there: leave one form of {name}")
    return ()


def table_file(path: Path) -> Files:
    if _suffix(path) not in TABLES:
        raise InputError(f"{path} must be a folder, or a table that ends in {', '.join(TABLES)} (or in .gz)")
    return (path,)


def not_taken(place: Path, taken: list[Path]) -> list[str]:
    """The names of what looks like a part of the corpus in a folder, or beside a table, and is not taken."""
    folder = place if place.is_dir() else place.parent
    others = (path for path in folder.iterdir() if place.is_dir() or _suffix(path) in TABLES)
    return sorted(path.name for path in others if SPLIT.search(path.name) and path not in taken)


def _suffix(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).suffix


def _existing(path: Path) -> Path | None:
    """The file, plain or .gz."""
    found = [p for p in (path, path.with_name(f"{path.name}.gz")) if p.exists()]
    if len(found) > 1:
        raise InputError(f"{found[0]} and {found[1]} are both there: leave one")
    return input_file(found[0]) if found else None


def _json_pairs(path: Path, keys: list[str]) -> Iterator[Pair]:
    """An object a line with the two keys, perhaps in one called translation, as datasets have it."""
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
        yield one_line(source, target)
