"""The way in for every Python script: arguments checked before the work, errors in one line.

Errors of files, encodings and pipes, and interrupts, are anyone's to meet;
a traceback is for a fault of ours.
"""

import argparse
import contextlib
import errno
import math
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

CLOSED_PIPE = 128 + signal.SIGPIPE  # what a shell reports of a program whose reader went away


class InputError(Exception):
    """What the user gave can't be used; the text says what and why, in a line."""


class Parser(argparse.ArgumentParser):
    """Takes the module's docstring as it stands, and reports a bad argument in one line."""

    def __init__(self, description: str | None, **kwargs: Any) -> None:
        formatter = argparse.RawDescriptionHelpFormatter
        super().__init__(description=description, formatter_class=formatter, **kwargs)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message} (--help lists the arguments)\n")


def run(main: Callable[[], None]) -> NoReturn:
    """Calls ``main`` and exits: 0; after one line of error 1 or, interrupted, 130; 141 for a closed pipe."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # whatever the locale, text is UTF-8; a lone surrogate shows as an escape
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    code: int | str | None
    try:
        main()
        if sys.stdout is not None:
            sys.stdout.flush()  # a full disk is told now, or never
        code = 0
    except SystemExit as exit_:
        code = exit_.code
        if isinstance(code, str):
            code = _report(code.removeprefix("error: "))
    except KeyboardInterrupt:
        code = _report("interrupted", 130)
    except BrokenPipeError:
        code = CLOSED_PIPE
    except InputError as error:
        code = _report(str(error))
    except UnicodeError as error:
        code = _report(f"not UTF-8: {error}")
    except OSError as error:
        code = CLOSED_PIPE if error.errno == errno.EPIPE else _report(os_error(error))
    except MemoryError:
        code = _report("not enough memory")
    _close(sys.stdout)
    sys.exit(code)


def os_error(error: OSError) -> str:
    """``cannot read or write FILE: Permission denied``"""
    reason = error.strerror or str(error) or type(error).__name__
    names = [
        os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, (str, bytes))
    ]
    return f"{' and '.join(names) or 'standard input or output'}: {reason}"


def _report(message: str, code: int = 1) -> int:
    with contextlib.suppress(OSError, AttributeError):
        print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return code


def _close(stream: Any) -> None:
    """Python closes it once more at exit, and would complain of the same error again."""
    try:
        if stream is not None:
            stream.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def integer(least: int, most: int | None = None) -> Callable[[str], int]:
    """A type for argparse: an integer of at least ``least``."""

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be an integer, got {text!r}") from None
        if value < least or (most is not None and value > most):
            bound = f"at least {least}" if most is None else f"from {least} to {most}"
            raise argparse.ArgumentTypeError(f"must be {bound}, got {value}")
        return value

    return convert


def number(least: float, most: float = math.inf) -> Callable[[str], float]:
    """A type for argparse: a finite number from ``least`` to ``most``."""

    def convert(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and least <= value <= most):
            bound = f"of at least {least:g}" if most == math.inf else f"from {least:g} to {most:g}"
            raise argparse.ArgumentTypeError(f"must be a number {bound}, got {text!r}")
        return value

    return convert


def input_file(text: str) -> Path:
    """A type for argparse: a file, or pipe, that can be read."""
    path = Path(text)
    if path.is_dir() or not path.exists():
        raise argparse.ArgumentTypeError(
            f"{text} is {'a folder' if path.is_dir() else 'not there'}, not a file"
        )
    if not os.access(path, os.R_OK):
        raise argparse.ArgumentTypeError(f"{text} cannot be read: permission denied")
    return path


def input_folder(text: str) -> Path:
    """A type for argparse: a folder that is there."""
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is not a folder")
    return path


def output_file(text: str) -> Path:
    """A type for argparse: a file that can be written; its folder is there."""
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a folder, not a file")
    folder = path.parent
    if not folder.is_dir():
        raise argparse.ArgumentTypeError(f"{text} cannot be written: {folder} is not a folder")
    if not os.access(path if path.exists() and not path.is_file() else folder, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text} cannot be written: permission denied")
    return path
