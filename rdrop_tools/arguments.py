"""The parser of every Python script's arguments, and its errors in one line. cli.py hands it on."""

import argparse
import contextlib
import sys
from typing import Any, NoReturn


class InputError(argparse.ArgumentTypeError):
    """What the user gave can't be used; the text says what and why, in a line.

    Raised by an argument's type, argparse adds the argument's name.
    """


class Parser(argparse.ArgumentParser):
    """Takes the module's docstring as it stands, and reports a bad argument in one line. An option that has
    one value cannot be given twice.
    """

    def __init__(self, description: str | None, **kwargs: Any) -> None:
        formatter = argparse.RawDescriptionHelpFormatter
        super().__init__(description=description, formatter_class=formatter, **kwargs)
        for store in (None, "store"):
            self.register("action", store, Once)
        self.given: set[str] = set()  # the options that the command line has had up to now

    def parse_known_args(self, *args: Any, **kwargs: Any) -> Any:
        self.given.clear()
        return super().parse_known_args(*args, **kwargs)

    def print_help(self, file: Any = None) -> None:
        (file or sys.stdout).write(
            self.format_help()
        )  # argparse's own keeps the error of a full disk to itself

    def error(self, message: str) -> NoReturn:
        sys.exit(report(f"{message} (--help lists the arguments)", 2))


class Once(argparse.Action):
    """An action for argparse: its own ``store``, but not twice, where the first value would be lost."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        if option_string is not None and self.dest in parser.given:
            raise argparse.ArgumentError(self, "is given twice")
        parser.given.add(self.dest)
        setattr(namespace, self.dest, values)


class Distinct(Once):
    """An action for argparse: a list in which nothing stands twice."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise argparse.ArgumentError(self, f"{twice} is named twice")
        super().__call__(parser, namespace, values, option_string)


def report(message: str, code: int = 1) -> int:
    with contextlib.suppress(OSError):
        print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return code
