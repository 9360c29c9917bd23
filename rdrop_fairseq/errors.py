"""What R-Drop cannot do: an exception of one line, and the command line that ends in that line."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from torch.multiprocessing.spawn import ProcessRaisedException


class RDropError(ValueError, RuntimeError):
    """A flag, a model or a task that R-Drop cannot train with. The message is one line.

    It is a RuntimeError too, as fairseq's trainer saves a checkpoint crash.pt at all others.
    """


def ends_in_one_line(function: Callable[..., Any]) -> Callable[..., Any]:
    """Called by fairseq-train or fairseq-hydra-train, the function ends the program as a bad flag does: an
    RDropError becomes a line without a traceback. For any other caller it stays an exception.
    """

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except RDropError as error:
            if not _in_command_line():
                raise
            raise SystemExit(f"error: {error}") from None

    return wrapped


def _in_command_line() -> bool:
    """Whether the ``cli_main`` of one of fairseq's commands is among the callers."""
    frame: Any = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "cli_main" and "fairseq_cli" in frame.f_code.co_filename:
            return True
        frame = frame.f_back
    return False


def hand_on_errors_of_processes() -> None:
    """Have an RDropError in a process that fairseq starts for a GPU raised in the one that starts them."""
    from fairseq.distributed import utils as distributed_utils

    call_main = distributed_utils.call_main

    @functools.wraps(call_main)
    def call_main_and_hand_on(*args: Any, **kwargs: Any) -> Any:
        try:
            return call_main(*args, **kwargs)
        except ProcessRaisedException as error:  # with the traceback as its text
            kind, _, message = str(error).strip().split("\n")[-1].partition(": ")
            if kind != f"{RDropError.__module__}.{RDropError.__qualname__}":
                raise
            raise RDropError(message) from None

    distributed_utils.call_main = ends_in_one_line(call_main_and_hand_on)
