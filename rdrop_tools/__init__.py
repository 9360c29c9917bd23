"""The tools that the recipes call: texts, scores, trainings, benchmarks.

From the root of the clone each is a module to run: ``python -m rdrop_tools.scoring.score_rouge --help``.
"""

from __future__ import annotations

import sys
from types import TracebackType

EXTRAS = {"fairseq": "fairseq", "accelerate": "huggingface", "transformers": "huggingface"}  # else examples


def _report(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A package that is missing is no fault of ours: one line."""
    if not isinstance(error, ModuleNotFoundError) or error.name is None:
        sys.__excepthook__(kind, error, trace)
        return
    name = error.name.split(".")[0]
    install = f"pip install -e '.[{EXTRAS.get(name, 'examples')}]'"
    print(f"error: {name} is not installed here: source .venv/bin/activate, or {install}", file=sys.stderr)


sys.excepthook = _report
