"""Text files, read and written in one way: UTF-8, and a line ends at a line feed and nowhere else.

A corpus has other characters at which Python's ``splitlines`` and universal newlines would break a line: a
carriage return, U+0085, U+2028. They are text, as NUL is. Not text are carriage returns at the end of a line
(CRLF), and a byte order mark at the beginning of a file. A last line without a line feed is a line.
What can't be read or written, is damaged, or is not UTF-8 is an InputError that names the file.
"""

import gzip
import itertools
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

from rdrop_tools.cli import InputError

Pair = tuple[str, str]


def decode_lines(file: Iterable[bytes], name: str) -> Iterator[str]:
    """The lines of an open binary file, without their ends."""
    for number, line in enumerate(file, 1):
        try:
            yield line.rstrip(b"\r\n").decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{name} is not UTF-8 at byte {error.start} of line {number}") from None


def iter_raw(path: Path) -> Iterator[bytes]:
    """The lines of a file, which may be .gz, as they are, with their ends."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            yield from file
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path} is damaged, or not compressed by gzip: {error}") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None


def iter_lines(path: Path) -> Iterator[str]:
    """The lines of a file, which may be .gz, without their ends."""
    return decode_lines(iter_raw(path), str(path))


def read_lines(path: Path) -> list[str]:
    return list(iter_lines(path))


def read_pairs(source: Path, target: Path) -> Iterator[Pair]:
    """Lines that belong together, in a stream; files of unequal length are refused where one ends."""
    sides = iter_lines(source), iter_lines(target)
    for count, (first, second) in enumerate(itertools.zip_longest(*sides)):
        if first is None or second is None:
            all_lines = count + 1 + sum(1 for side in sides for _ in side)
            counts = (count, all_lines) if first is None else (all_lines, count)
            raise _unequal(source, target, *counts)
        yield first, second


def read_columns(*paths: Path) -> list[list[str]]:
    """The lines of files that belong together, of which each has as many."""
    columns = [read_lines(path) for path in paths]
    for path, column in zip(paths, columns, strict=True):
        if len(column) != len(columns[0]):
            raise _unequal(paths[0], path, len(columns[0]), len(column))
    return columns


def _unequal(first: Path, second: Path, count: int, other: int) -> InputError:
    return InputError(f"{first} and {second} do not have the same number of lines: {count} and {other}")


@contextmanager
def replacing(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """A new file that takes the place of ``path`` when all has been written, and is gone after an error.

    What is there and no regular file, a device or a pipe, is written to directly.
    """
    encoding: Any = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    direct = path.exists() and not path.is_file()
    target = path if direct else Path(os.path.realpath(path))
    part = target if direct else target.with_name(f"{target.name}.{os.getpid()}.part")
    try:
        with part.open(mode, **encoding) as file:
            yield file
        if not direct:
            part.replace(target)
    except OSError as error:
        if error.filename is None and not isinstance(error, BrokenPipeError):  # of a write, as on a full disk
            raise InputError(f"cannot write {path}: {error.strerror or error}") from None
        raise
    finally:
        if not direct:
            part.unlink(missing_ok=True)


@contextmanager
def replacing_all(paths: Iterable[Path]) -> Iterator[list[IO[str]]]:
    """Several files as by ``replacing``; none takes its place before all have been written."""
    with ExitStack() as stack:
        yield [stack.enter_context(replacing(path)) for path in paths]


def write_rows(rows: Iterable[tuple[str, ...]], files: Sequence[IO[str]]) -> int:
    """Column i of each row is a line of ``files[i]``. Returns the number of rows."""
    count = 0
    for row in rows:
        for file, text in zip(files, row, strict=True):
            file.write(f"{text}\n")
        count += 1
    return count


def write_json(path: Path, value: Any) -> None:
    with replacing(path) as file:
        file.write(json.dumps(value, indent=1) + "\n")


def check_outputs(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Refuses an output that is an input, also by another name, or is named twice."""
    taken = {os.path.realpath(path): path for path in inputs}
    for path in outputs:
        other = taken.get(os.path.realpath(path))
        if other is not None and (path.is_file() or not path.exists()):
            raise InputError(f"{path} would be written over {other}: choose another output")
        taken[os.path.realpath(path)] = path
