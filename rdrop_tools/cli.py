"""The way in for every Python script: arguments checked before the work, errors in one line.

Errors of files, encodings and pipes, and interrupts, are anyone's to meet;
a traceback is for a fault of ours.
"""

import argparse
import errno
import math
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

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

    def error(self, message: str) -> NoReturn:
        sys.exit(report(f"{message} (--help lists the arguments)", 2))


def report(message: str, code: int = 1) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return code


def run(main: Callable[[], None]) -> NoReturn:
    """Calls ``main`` and exits: 0; after one line of error 1 or, interrupted, 130; 141 for a closed pipe.

    Output is UTF-8 whatever the locale, a lone surrogate an escape. A terminated script leaves as after an
    error: no half-written files, no processes of its own.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup has the latter ignored
            signal.signal(number, _leave)
    code = _exit_code(main) or _exit_code(sys.stdout.flush)  # a full disk is told now, or never
    try:
        sys.stdout.flush()
    except OSError:  # Python flushes once more at its exit, and would complain again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _leave(number: int, _: Any) -> NoReturn:
    sys.exit(128 + number)


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
    except BrokenPipeError:
        return CLOSED_PIPE
    except OSError as error:
        return report(f"{error.filename or 'standard input or output'}: {error.strerror or error}")
    except (MemoryError, RuntimeError) as error:  # torch has no other name than the latter on a CPU
        told = re.search("can't allocate memory|out of memory|size calculation overflowed", str(error))
        if isinstance(error, RuntimeError) and not told:
            raise
        return report("not enough memory")


def integer(least: int, most: float = math.inf) -> Callable[[str], int]:
    """A type for argparse: an integer from ``least`` to ``most``."""
    return _in_range(int, "an integer", least, most)


def number(least: float, most: float = math.inf) -> Callable[[str], float]:
    """A type for argparse: a finite number from ``least`` to ``most``."""
    return _in_range(float, "a number", least, most)


def _in_range(convert: Callable[[str], Any], kind: str, least: float, most: float) -> Callable[[str], Any]:
    bounds = f"of at least {least}" if most == math.inf else f"from {least} to {most}"

    def checked(text: str) -> Any:
        try:
            value = convert(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and least <= value <= most):
            raise InputError(f"must be {kind} {bounds}, got {text!r}")
        return value

    return checked


def input_file(name: str | Path) -> Path:
    """A type for argparse: a file, or pipe, that is there."""
    path = Path(name)
    if not path.exists():
        raise InputError(f"cannot read {name}: {os.strerror(errno.ENOENT)}")
    if path.is_dir():
        raise InputError(f"cannot read {name}: {os.strerror(errno.EISDIR)}")
    return path


def input_folder(name: str | Path) -> Path:
    """A type for argparse: a folder that is there."""
    path = Path(name)
    if not path.is_dir():
        raise InputError(f"{name} is not a folder")
    return path


def output_file(name: str | Path) -> Path:
    """A type for argparse: a file, device or pipe that can be written; its folder is there."""
    path, folder = Path(name), Path(os.path.realpath(name)).parent
    if path.is_dir():
        raise InputError(f"cannot write {name}: {os.strerror(errno.EISDIR)}")
    needed = [path] if path.exists() else []
    if path.is_file() or not needed:
        if not folder.is_dir():
            raise InputError(f"cannot write {name}: {folder} is not a folder")
        needed.append(folder)
    if not all(os.access(place, os.W_OK) for place in needed):
        raise InputError(f"cannot write {name}: {os.strerror(errno.EACCES)}")
    return path


def output_folder(name: str | Path) -> Path:
    """A type for argparse: a folder that can be written in, or made."""
    path = Path(name)
    existing = next(place for place in (path, *path.absolute().parents) if place.exists())
    if not existing.is_dir():
        raise InputError(f"cannot write in {name}: {existing} is not a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"cannot write in {name}: {os.strerror(errno.EACCES)}")
    return path
