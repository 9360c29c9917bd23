"""Text files, read and written in one way: UTF-8, and a line ends at a line feed and nowhere else.

A corpus has other characters at which Python's ``splitlines`` and universal newlines would break a line: a
lone carriage return, U+0085, U+2028. A last line without a line feed is a line; the CR of a CRLF is not text.
"""

import gzip
import itertools
import os
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from scripts.common.cli import InputError

Pair = tuple[str, str]


def iter_lines(path: Path) -> Iterator[str]:
    """The lines of a file, which may be .gz, without their ends.

    Raises:
        InputError: it can't be read, is not UTF-8, or is damaged; names the file, and the line.
    """
    count = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for line in file:
                count += 1
                yield line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text: line {count}") from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path} is damaged, or not compressed by gzip: {error}") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None


def read_lines(path: Path) -> list[str]:
    return list(iter_lines(path))


def read_pairs(source: Path, target: Path) -> Iterator[Pair]:
    """Lines that belong together.

    Raises:
        InputError: as iter_lines; or one file has more lines than the other.
    """
    pairs = itertools.zip_longest(iter_lines(source), iter_lines(target))
    for count, (first, second) in enumerate(pairs):
        if first is None or second is None:
            longer, shorter = (target, source) if first is None else (source, target)
            raise InputError(f"{shorter} has {count} lines, {longer} has more: both must have as many")
        yield first, second


@contextmanager
def replacing(path: Path, mode: str = "w") -> Iterator[IO[str]]:
    """A new file that takes the place of ``path`` when all has been written, and is gone after an error.

    What is there and no regular file, a device or a pipe, is written to directly.
    """
    encoding = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    if path.exists() and not path.is_file():
        with path.open(mode, **encoding) as file:  # type: ignore[call-overload]
            yield file
        return
    target = path.resolve()
    handle, name = tempfile.mkstemp(prefix=f"{target.name}.", suffix=".part", dir=target.parent)
    part = Path(name)
    try:
        with open(handle, mode, **encoding) as file:  # type: ignore[call-overload]
            yield file
        umask = os.umask(0)
        os.umask(umask)
        part.chmod(target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~umask)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def write_columns(rows: Iterable[tuple[str, ...]], paths: list[Path]) -> int:
    """Column i of each row is a line of ``paths[i]``. Returns the number of rows."""
    count = 0
    with ExitStack() as stack:
        files = [stack.enter_context(replacing(path)) for path in paths]
        for row in rows:
            for file, text in zip(files, row, strict=True):
                file.write(f"{text}\n")
            count += 1
    return count


def check_outputs(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Refuses an output that is an input, also by another name, or is named twice.

    Raises:
        InputError
    """
    taken = {path.resolve(): path for path in inputs}
    for path in outputs:
        if path.resolve() in taken and (path.is_file() or not path.exists()):
            raise InputError(f"{path} would be written over {taken[path.resolve()]}: choose another output")
        taken[path.resolve()] = path
