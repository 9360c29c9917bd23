"""Registers the criterion with fairseq: at once where fairseq is loaded, else as soon as it is imported.

So the order of ``import rdrop_fairseq`` and ``import fairseq`` does not matter, and nobody who needs the
losses alone pays for fairseq's import.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType


def register() -> None:
    """Importing the criterion registers it. Python imports a module once, whoever asks."""
    for name in ("checkpoint_safety", "numpy_compatibility", "label_smoothed_cross_entropy_rdrop"):
        importlib.import_module(f".{name}", __package__)


def register_with_fairseq() -> None:
    if sys.modules.get("fairseq"):
        register()
    else:
        sys.meta_path.insert(0, _AfterFairseq())


class _AfterFairseq(importlib.abc.MetaPathFinder):
    """Finds fairseq as Python would without it, and has :func:`register` called once fairseq is imported."""

    searching = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "fairseq" or self.searching:
            return None
        self.searching = True  # the finders after this one are asked by find_spec, this one too
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self.searching = False
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_register(module: ModuleType) -> None:
            execute(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)
            register()

        spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec
