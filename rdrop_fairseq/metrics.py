"""What is logged: the logging output of a step, and the metrics that fairseq makes of many of them."""

from __future__ import annotations

import math
from typing import Any

from fairseq.logging import metrics

from .losses.checks import CEReduction
from .objective import Sums
from .schedule import Update


def logging_output(
    sums: Sums,
    sample: dict[str, Any],
    sample_size: Any,
    update: Update,
    *,
    ce_reduction: CEReduction,
    log_alpha: bool,
) -> dict[str, Any]:
    """The logging output of a training step: sums, as fairseq adds up those of workers and delayed updates.

    ``loss`` is the objective, under "sum" divided by the passes that it counts: comparable to a plain
    run's, as the NLL is. Tensors stay on their device, so that nothing waits for them.
    """
    passes = update.passes * update.ce_weight  # that the objective counts under "sum"
    output = {
        "loss": sums.loss.detach() / (passes if ce_reduction == "sum" else 1),
        "nll_loss": sums.nll_loss,
        "ntokens": sample["ntokens"],
        "nsentences": sample["target"].size(0),
        "sample_size": sample_size,
    }
    if update.passes > 1:
        output["rdrop_kl_loss"] = sums.kl_loss
        if log_alpha:
            output["rdrop_alpha"] = update.alpha * sample["ntokens"]  # reduce_rdrop_metrics divides again
    if sums.n_correct is not None:
        output.update(n_correct=sums.n_correct, total=sums.total)
    return output


def reduce_rdrop_metrics(logging_outputs: list[dict[str, Any]]) -> None:
    """Log what R-Drop adds to the plain criterion's metrics, where the outputs have it: per target token,
    the KL divergence (base 2, not multiplied by alpha), and alpha.
    """
    ntokens = sum(log.get("ntokens", 0) for log in logging_outputs)
    if any("rdrop_kl_loss" in log for log in logging_outputs):  # neither validation nor a single pass
        kl_loss = sum(log.get("rdrop_kl_loss", 0) for log in logging_outputs)
        metrics.log_scalar("rdrop_kl_loss", kl_loss / ntokens / math.log(2), ntokens, round=4)
    if any("rdrop_alpha" in log for log in logging_outputs):
        alpha = sum(log.get("rdrop_alpha", 0) for log in logging_outputs) / ntokens
        metrics.log_scalar("rdrop_alpha", alpha, weight=0, round=4)  # weight 0: the latest
