"""What is repaired of fairseq so that it runs on today's torch and numpy.

fairseq is archived: no version of it will end a repair. Each names the versions of torch or numpy that need
it, and is made when fairseq loads the plugin. RDROP_REPAIRS=none leaves all of them out.
"""

from __future__ import annotations

import argparse
import functools
import logging
import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from fairseq.data import Dictionary, data_utils, language_pair_dataset, token_block_dataset
from fairseq.distributed import utils as distributed_utils
from fairseq.logging import meters, metrics
from fairseq.tasks.translation import TranslationTask

from .losses.compatibility import add_safe_globals

logger = logging.getLogger(__name__)


class Repair(NamedTuple):
    """needed_by: "torch 2.6", that version and newer ones; "" where every version needs it."""

    what: str
    needed_by: str
    make: Callable[[], None]


_ARRAY_FUNCTIONS: list[Any] = [np.empty(0).__reduce__()[0], np.float64().__reduce__()[0]]
_DTYPE_CODES = np.typecodes["AllInteger"] + np.typecodes["Float"] + "?"
_SAFE_GLOBALS: list[Any] = [
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


def load_checkpoints() -> None:
    """Let ``torch.load(weights_only=True)``, torch's default since 2.6, read what fairseq writes.

    fairseq pickles its command line (``argparse.Namespace``), with ``--eval-bleu`` numpy meters, and
    dictionaries in the state of tasks (audio, HuBERT, NLU); before 2020 also its own meters, from a module
    that is gone. These types hold data and go on torch's allow-list. torch refuses a checkpoint with any
    other type, naming it, and runs nothing of the file.
    """
    add_safe_globals(_SAFE_GLOBALS)


def _send_checkpoints() -> None:
    """Of several processes the first one loads a checkpoint and sends it to the others, by torch.save and by
    torch.load, which refuses the configuration in it. Here torch.distributed sends it: it comes from the
    training itself.
    """

    def broadcast_object(obj: Any, src_rank: int, group: Any, dist_device: torch.device) -> Any:
        objects = [obj]
        torch.distributed.broadcast_object_list(objects, src=src_rank, group=group, device=dist_device)
        return objects[0]

    distributed_utils._broadcast_object_slow = broadcast_object


class _NumpyWithOldNames:
    compat = SimpleNamespace(long=int)

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def percentile(a: Any, q: Any, interpolation: Any) -> Any:
        return np.percentile(a, q, method=interpolation)


def _give_old_numpy_names() -> None:
    """Without them ``--sample-break-mode eos`` of language_modeling and ``--num-batch-buckets`` end in an
    AttributeError or a TypeError. The modules get a numpy with these names; numpy itself stays as it is.
    """
    for module in (data_utils, language_pair_dataset, token_block_dataset):
        module.np = _NumpyWithOldNames()


def _score_empty_outputs() -> None:
    """A validation whose outputs are all empty has BLEU 0. fairseq logs none then, and
    ``--best-checkpoint-metric bleu`` ends in ``KeyError: 'bleu'``, with no checkpoint.
    """
    reduce_metrics = TranslationTask.reduce_metrics

    def bleu(found: Any) -> float:
        from sacrebleu.metrics.bleu import BLEU

        numbers: dict[str, Any] = {
            "correct": list(found["_bleu_counts"].sum),
            "total": list(found["_bleu_totals"].sum),
            "sys_len": int(found["_bleu_sys_len"].sum),
            "ref_len": int(found["_bleu_ref_len"].sum),
        }
        return round(BLEU.compute_bleu(**numbers, smooth_method="exp").score, 2)

    @functools.wraps(reduce_metrics)
    def reduce_metrics_of_empty_outputs(self: Any, logging_outputs: Any, criterion: Any) -> None:
        reduce_metrics(self, logging_outputs, criterion)
        scored = [log for log in logging_outputs if "_bleu_totals_0" in log]
        if scored and not any(log["_bleu_totals_0"] for log in scored):
            for name in ("counts", "totals"):
                metrics.log_scalar(f"_bleu_{name}", np.zeros(4, dtype=int))
            metrics.log_scalar("_bleu_sys_len", 0)
            metrics.log_scalar("_bleu_ref_len", sum(log["_bleu_ref_len"] for log in scored))
            metrics.log_derived("bleu", bleu)

    TranslationTask.reduce_metrics = reduce_metrics_of_empty_outputs


REPAIRS = [
    Repair("reading checkpoints", "torch 2.6", load_checkpoints),
    Repair("sending checkpoints to other processes", "torch 2.6", _send_checkpoints),
    Repair("names that numpy has taken out", "numpy 2.0", _give_old_numpy_names),
    Repair("BLEU of empty outputs", "", _score_empty_outputs),
]


def repair() -> None:
    """Make all that are needed, and say so in one line of the log."""
    needed = [repair for repair in REPAIRS if _is_needed(repair.needed_by)]
    if os.environ.get("RDROP_REPAIRS") == "none":
        logger.info("R-Drop: nothing of fairseq is repaired, as RDROP_REPAIRS=none says")
        return
    for one in needed:
        one.make()
    words = ", ".join(f"{one.what} ({one.needed_by})" if one.needed_by else one.what for one in needed)
    logger.info(f"R-Drop: repaired of fairseq: {words}; RDROP_REPAIRS=none leaves it out")


def _is_needed(needed_by: str) -> bool:
    if not needed_by:
        return True
    name, version = needed_by.split()
    installed = {"torch": torch.__version__, "numpy": np.__version__}[name]
    return _numbers(installed) >= _numbers(version)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])
