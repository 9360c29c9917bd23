"""Parallel text: the files of its splits, a filter on lengths, a map over worker processes."""

import argparse
import contextlib
import itertools
import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tqdm import tqdm

from rdrop_tools import cli
from rdrop_tools.lines import check_outputs

Make = Callable[[], Callable[..., Any]]  # makes a worker's function there, as functions can't be sent
WORKERS: dict[str, Any] = {"type": cli.integer(1), "help": "processes (one a core, which is the most)"}
CHUNK = 1000  # pairs that a worker gets at once
RATIO = 1.5


def add_filter_argument(parser: argparse.ArgumentParser, what: str) -> None:
    more = f"more, or none, on a side, or {RATIO} times as many as on the other"
    parser.add_argument("--max-tokens", type=cli.integer(1), help=f"drop {what} with {more}")


def is_short(source: str, target: str, most: int | None) -> bool:
    """Moses' clean-corpus-n: 1 to ``most`` tokens on each side, neither side RATIO times the other."""
    if most is None:
        return True
    shorter, longer = sorted((len(source.split()), len(target.split())))
    return shorter >= 1 and longer <= min(most, RATIO * shorter)


def add_langs_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--langs", nargs=2, required=True, metavar="LANG")


def add_splits_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("in_dir", type=cli.input_folder, help="folder with {split}.{lang}")
    parser.add_argument("out_dir", type=cli.output_folder, help="folder for the pieces, {split}.{lang}")
    add_langs_argument(parser)
    splits = ["train", "valid", "test"]
    parser.add_argument("--splits", nargs="+", default=splits, metavar="SPLIT")


def split_files(
    args: argparse.Namespace, other_inputs: Iterable[Path] = (), other_outputs: Iterable[Path] = ()
) -> tuple[list[list[Path]], list[list[Path]]]:
    """For every split, the files of its two sides: those to read and, in a folder that is there, to write."""
    names = [[f"{split}.{lang}" for lang in args.langs] for split in args.splits]
    inputs = [[cli.input_file(args.in_dir / name) for name in sides] for sides in names]
    outputs = [[args.out_dir / name for name in sides] for sides in names]
    prepare_outputs(itertools.chain(*outputs, other_outputs), itertools.chain(*inputs, other_inputs))
    return inputs, outputs


def prepare_outputs(outputs: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Makes the folders of the outputs, of which none may be written over an input or another output."""
    outputs = list(outputs)
    check_outputs(outputs, inputs)
    for path in outputs:
        path.parent.mkdir(parents=True, exist_ok=True)
        cli.output_file(path)


def _work(make_function: Make, connection: Connection, other_end: Connection) -> None:
    """A worker: chunks in, their results out, until the script ends. The signals to it are the script's."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    other_end.close()  # or the end of the script would not be noticed
    function = make_function()
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            connection.send([function(*item) for item in connection.recv()])


def parallel_map(
    make_function: Make, items: Iterable[tuple[Any, ...]], workers: int | None, name: str
) -> Iterator[Any]:
    """``make_function()(*item)`` of every item, in order, with a progress display of what takes long.

    Every worker makes its function once, and has one chunk at a time: few are in memory, however long
    ``items`` is. A killed worker is an error here; concurrent.futures may wait for ever, as of Python 3.11.
    """
    make_function()  # what it has to say, it says in this process
    cores = len(os.sched_getaffinity(0))
    workers = min(workers or cores, cores)
    interval = 1 if sys.stderr.isatty() else 30
    processes: list[multiprocessing.Process] = []
    waiting: deque[Connection] = deque()  # in the order of the chunks that the workers have
    with tqdm(items, name, unit=" lines", unit_scale=True, mininterval=interval, delay=interval) as bar:
        read = iter(bar)
        try:
            while (chunk := list(itertools.islice(read, CHUNK))) or waiting:
                results: list[Any] = []
                if chunk and len(processes) < workers:
                    connection, theirs = multiprocessing.Pipe()
                    arguments = (make_function, theirs, connection)
                    process = multiprocessing.Process(target=_work, args=arguments, daemon=True)
                    process.start()
                    processes.append(process)
                    theirs.close()  # or the death of the worker would not be noticed
                else:
                    connection = waiting.popleft()
                    results = connection.recv()
                if chunk:
                    connection.send(chunk)
                    waiting.append(connection)
                yield from results
        except (EOFError, OSError):  # the latter in the midst of its results
            message = f"{name}: a worker process was killed, perhaps for its memory: try fewer --workers"
            raise cli.InputError(message) from None
        finally:
            for process in processes:
                process.kill()  # it has nothing to lose, and answers no other signal
                process.join()
