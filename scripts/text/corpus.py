"""Parallel text as streams: pairs of lines, a filter on lengths, a map over worker processes."""

import gzip
import itertools
import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

Pair = tuple[str, str]
CHUNK = 1000  # pairs that a worker gets at once


@dataclass(frozen=True)
class LengthFilter:
    """Moses' clean-corpus-n: 1 to ``most`` tokens on each side, neither side ``ratio`` times the other."""

    most: int
    ratio: float

    def __call__(self, source: str, target: str) -> bool:
        lengths = sorted((len(source.split()), len(target.split())))
        return lengths[0] >= 1 and lengths[1] <= self.most and lengths[1] <= self.ratio * lengths[0]


def open_text(path: Path) -> IO[str]:
    """Lines end at a line feed and nowhere else: a corpus has other characters that Python splits at."""
    try:
        if path.suffix == ".gz":
            return gzip.open(path, "rt", encoding="utf-8", newline="\n")
        return path.open(encoding="utf-8", newline="\n")
    except OSError as error:
        sys.exit(f"error: cannot read {path}: {error.strerror}")


def read_pairs(source: Path, target: Path) -> Iterator[Pair]:
    with open_text(source) as source_file, open_text(target) as target_file:
        for pair in itertools.zip_longest(source_file, target_file):
            if None in pair:
                sys.exit(f"error: {source} and {target} do not have the same number of lines")
            yield pair[0].rstrip("\r\n"), pair[1].rstrip("\r\n")


def write_columns(rows: Iterable[tuple[str, ...]], paths: list[Path]) -> int:
    """Column i of each row is a line of ``paths[i]``. Returns the number of rows."""
    count = 0
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("w", encoding="utf-8", newline="\n")) for path in paths]
        for row in rows:
            for file, text in zip(files, row, strict=True):
                file.write(f"{text}\n")
            count += 1
    return count


_function: Callable[..., Any]  # a worker's own


def _start(make_function: Callable[[], Callable[..., Any]]) -> None:
    global _function
    _function = make_function()


def _run(chunk: list[Any]) -> list[Any]:
    return [_function(*item) for item in chunk]


def parallel_map(
    make_function: Callable[[], Callable[..., Any]], items: Iterable[tuple[Any, ...]], workers: int, name: str
) -> Iterator[Any]:
    """``make_function()(*item)`` of every item, in order, with a progress display.

    Every worker makes its function once. Few chunks are in memory at any time, however long ``items`` is.
    """
    items = iter(items)
    waiting: deque[Future[list[Any]]] = deque()
    bar = tqdm(desc=name, unit=" lines", unit_scale=True, mininterval=1 if sys.stderr.isatty() else 30)
    with bar, ProcessPoolExecutor(workers, initializer=_start, initargs=(make_function,)) as pool:
        while True:
            chunk = list(itertools.islice(items, CHUNK))
            if chunk:
                waiting.append(pool.submit(_run, chunk))
            if waiting and (not chunk or len(waiting) > 4 * workers):
                results = waiting.popleft().result()
                bar.update(len(results))
                yield from results
            elif not chunk:
                return


def default_workers() -> int:
    return len(os.sched_getaffinity(0))
