"""Registers the criterion with fairseq, in whatever order the two are imported.

Nobody who needs the losses alone pays for fairseq's import.
"""

from __future__ import annotations

import importlib
import sys


def register() -> None:
    """Register the criterion with fairseq and make the repairs of repairs.py; a second call does nothing.

    It is called when rdrop_fairseq is imported beside a loaded fairseq, and by fairseq for a --user-dir. A
    program that imports rdrop_fairseq first, and gives no --user-dir, calls it.
    """
    criterion = f"{__package__}.label_smoothed_cross_entropy_rdrop"
    if criterion not in sys.modules:
        importlib.import_module(f"{__package__}.repairs").repair()
        importlib.import_module(f"{__package__}.errors").hand_on_errors_of_processes()
        importlib.import_module(criterion)


class UserDir(list):  # type: ignore[type-arg]
    """The ``__path__`` of the package.

    Of a --user-dir that is imported already, fairseq only asks whether it is the same folder, by ``in``.
    That is the moment to register.
    """

    def __contains__(self, folder: object) -> bool:
        if sys.modules.get("fairseq"):
            register()
        return super().__contains__(folder)
