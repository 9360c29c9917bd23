"""Let ``torch.load(weights_only=True)``, torch's default since 2.6, read what fairseq writes.

fairseq pickles its command line (``argparse.Namespace``), with ``--eval-bleu`` numpy meters, and dictionaries
in the state of tasks (audio, HuBERT, NLU); before 2020 also its own meters, from a module that is gone. These
types hold data and go on torch's allow-list when the package is imported. torch refuses a checkpoint with any
other type, naming it, and runs nothing of the file.

Of several processes the first one loads a checkpoint and sends it to the others, by torch.save and by
torch.load, which refuses the configuration in it. Here torch.distributed sends it: it comes from the training
itself.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import torch
from fairseq.data import Dictionary
from fairseq.distributed import utils as distributed_utils
from fairseq.logging import meters

from .losses.compatibility import add_safe_globals

_ARRAY_FUNCTIONS: list[Any] = [np.empty(0).__reduce__()[0], np.float64().__reduce__()[0]]
_DTYPE_CODES = np.typecodes["AllInteger"] + np.typecodes["Float"] + "?"

SAFE_GLOBALS: list[Any] = [
    argparse.Namespace,
    Dictionary,
    np.ndarray,
    np.dtype,
    *{type(np.dtype(code)) for code in _DTYPE_CODES},
    # _reconstruct and scalar, under the name that the numpy that wrote the checkpoint gave their module
    *((f, f"numpy.core.multiarray.{f.__name__}") for f in _ARRAY_FUNCTIONS),
    *((f, f"numpy._core.multiarray.{f.__name__}") for f in _ARRAY_FUNCTIONS),
    *(
        (m, f"fairseq.meters.{m.__name__}")
        for m in (meters.AverageMeter, meters.StopwatchMeter, meters.TimeMeter)
    ),
]


def _broadcast_object(obj: Any, src_rank: int, group: Any, dist_device: torch.device) -> Any:
    """Return ``obj`` of the process ``src_rank`` in all of the group, as fairseq's function should."""
    objects = [obj]
    torch.distributed.broadcast_object_list(objects, src=src_rank, group=group, device=dist_device)
    return objects[0]


add_safe_globals(SAFE_GLOBALS)
distributed_utils._broadcast_object_slow = _broadcast_object
