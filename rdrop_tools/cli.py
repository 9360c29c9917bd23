"""The way in for every Python script: arguments checked before the work, errors in one line.

Errors of files, encodings and pipes, and interrupts, are anyone's to meet;
a traceback is for a fault of ours.
"""

import argparse
import contextlib
import errno
import math
import os
import re
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

CLOSED_PIPE = 128 + signal.SIGPIPE  # what a shell reports of a program whose reader went away
EXTRAS = {  # packages that not every installation has: the extra of pyproject.toml that brings them
    **dict.fromkeys(["matplotlib", "rouge_score", "sacremoses", "subword_nmt", "tqdm"], "examples"),
    "fairseq": "fairseq",
    "transformers": "huggingface",
}


class InputError(argparse.ArgumentTypeError):
    """What the user gave can't be used; the text says what and why, in a line.

    Raised by an argument's type, argparse adds the argument's name.
    """


class Parser(argparse.ArgumentParser):
    """Takes the module's docstring as it stands, and reports a bad argument in one line."""

    def __init__(self, description: str | None, **kwargs: Any) -> None:
        formatter = argparse.RawDescriptionHelpFormatter
        super().__init__(description=description, formatter_class=formatter, **kwargs)

    def print_help(self, file: Any = None) -> None:  # argparse's own keeps the error of a full disk to itself
        (file or sys.stdout).write(self.format_help())

    def error(self, message: str) -> NoReturn:
        sys.exit(report(f"{message} (--help lists the arguments)", 2))


def report(message: str, code: int = 1) -> int:
    with contextlib.suppress(OSError):
        print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return code


def run(main: Callable[[], None]) -> NoReturn:
    """Calls ``main`` and exits: 0; after one line of error 1 or, interrupted, 130; 141 for a closed pipe."""
    with _standard_streams(), _exit_when_terminated():
        if sys.stdout is None:
            sys.exit(report("standard output is closed"))
        code = _exit_code(main) or _exit_code(sys.stdout.flush)  # a full disk is told now, or never
        try:
            sys.stdout.flush()
        except (OSError, ValueError):  # Python flushes once more at its exit, and would complain again
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _exit_code(function: Callable[[], None]) -> int | str | None:
    try:
        function()
        return 0
    except SystemExit as exit_:
        code = exit_.code
        return report(code.removeprefix("error: ")) if isinstance(code, str) else code
    except KeyboardInterrupt:
        return report("interrupted", 128 + signal.SIGINT)
    except InputError as error:
        return report(str(error))
    except ModuleNotFoundError as error:
        name = (error.name or "").split(".")[0].replace("-", "_")  # importlib.metadata says rouge-score
        if name not in EXTRAS:
            raise
        install = f"source .venv/bin/activate, or pip install -e '.[{EXTRAS[name]}]'"
        return report(f"{name} is not installed here: in the clone, {install}")
    except UnicodeError as error:
        return report(f"not UTF-8: {error}")
    except OSError as error:
        return CLOSED_PIPE if error.errno == errno.EPIPE else report(os_error(error))
    except MemoryError:
        return report("not enough memory")
    except RuntimeError as error:  # torch's, which has no other name for it on a CPU
        if not re.search("can't allocate memory|out of memory|size calculation overflowed", str(error)):
            raise
        return report("not enough memory")


@contextlib.contextmanager
def _standard_streams() -> Iterator[None]:
    """UTF-8 whatever the locale, a lone surrogate as an escape; none of their numbers left to a file."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if stream is None:  # or the next file to be opened would get what a library writes to number 2
            os.open(os.devnull, os.O_RDWR)
        elif stream is not sys.stdin:
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    with contextlib.ExitStack() as stack:
        if sys.stderr is None:
            stack.enter_context(contextlib.redirect_stderr(stack.enter_context(open(os.devnull, "w"))))
        yield


@contextlib.contextmanager
def _exit_when_terminated() -> Iterator[None]:
    """A terminated script leaves as after an error: no half-written files, no processes of its own."""

    def leave(number: int, _: Any) -> NoReturn:
        sys.exit(128 + number)

    # nohup has one of them ignored
    signals = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is signal.SIG_DFL]
    for number in signals:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in signals:
            signal.signal(number, signal.SIG_DFL)


def os_error(error: OSError) -> str:
    """``FILE: Permission denied``"""
    reason = error.strerror or str(error) or type(error).__name__
    names = [
        os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, (str, bytes))
    ]
    return f"{' and '.join(names) or 'standard input or output'}: {reason}"


def integer(least: int, most: int | None = None) -> Callable[[str], int]:
    """A type for argparse: an integer from ``least`` to ``most``."""

    def convert(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise InputError(f"must be an integer, got {text!r}") from None
        if value < least:
            raise InputError(f"must be at least {least}, got {value}")
        if most is not None and value > most:
            raise InputError(f"must be at most {most}, got {value}")
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
            raise InputError(f"must be a number {bound}, got {text!r}")
        return value

    return convert


def input_file(name: str | Path) -> Path:
    """A type for argparse: a file, or pipe, that can be read; not the one that standard output goes to."""
    status = _status(name, "read")
    if status is None:
        raise InputError(f"cannot read {name}: {os.strerror(errno.ENOENT)}")
    if stat.S_ISDIR(status.st_mode):
        raise InputError(f"cannot read {name}: {os.strerror(errno.EISDIR)}")
    if not os.access(name, os.R_OK):
        raise InputError(f"cannot read {name}: {os.strerror(errno.EACCES)}")
    _check_not_standard(name, status)
    return Path(name)


def standard_input() -> BinaryIO:
    if sys.stdin is None:
        raise InputError("standard input is closed")
    _check_not_standard("standard input", os.fstat(0))
    return sys.stdin.buffer


def input_folder(name: str | Path) -> Path:
    """A type for argparse: a folder that is there."""
    path = Path(name)
    if not path.is_dir():
        raise InputError(f"{name} is not a folder")
    return path


def output_file(name: str | Path) -> Path:
    """A type for argparse: a file, device or pipe that can be written; its folder is there."""
    status = _status(name, "write")
    if status is not None and stat.S_ISDIR(status.st_mode):
        raise InputError(f"cannot write {name}: {os.strerror(errno.EISDIR)}")
    if status is not None:
        _check_not_standard(name, status)
    folder = Path(os.path.realpath(name)).parent
    needed = [] if status is None else [name]
    if status is None or stat.S_ISREG(status.st_mode):
        if not folder.is_dir():
            raise InputError(f"cannot write {name}: {folder} is not a folder")
        needed.append(folder)
    if not all(os.access(path, os.W_OK) for path in needed):
        raise InputError(f"cannot write {name}: {os.strerror(errno.EACCES)}")
    return Path(name)


def output_folder(name: str | Path) -> Path:
    """A type for argparse: a folder that can be written in, or made."""
    if _status(name, "write") is None:
        existing = next(p for p in Path(os.path.abspath(name)).parents if p.exists())
    else:
        existing = Path(name)
    if not existing.is_dir():
        raise InputError(f"cannot write in {name}: {existing} is not a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"cannot write in {name}: {os.strerror(errno.EACCES)}")
    return Path(name)


def _status(name: str | Path, action: str) -> os.stat_result | None:
    """None: there is no such file."""
    try:
        return os.stat(name)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"cannot {action} {name}: {error.strerror}") from None


def _check_not_standard(name: str | Path, status: os.stat_result) -> None:
    """A file that standard output goes to as well grows while it is read, or is lost when replaced."""
    for number in (1, 2):
        if stat.S_ISREG(status.st_mode) and os.path.samestat(status, os.fstat(number)):
            raise InputError(f"{name} is the file that standard output or standard error goes to")
