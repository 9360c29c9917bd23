"""From a model's outputs to the sums of the R-Drop objective, fused with the projection or plain.

A new loss is computed in the two methods of :class:`Objective`, by functions of losses/.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .errors import RDropError
from .fairseq_models import check_output, find_output_projection, is_output, why_not_fused
from .losses.checks import CEReduction, check_non_negative
from .losses.elementwise import has_kernel
from .losses.fused import Options, linear_rdrop_sums
from .losses.terms import rdrop_loss_from_lprobs
from .projection import CallsError, call_with_logits
from .schedule import Update


class Sums(NamedTuple):
    """Sums over the target tokens that count. ``loss`` carries the gradient.

    The NLL is the mean over the passes, the KL that over their pairs, not multiplied by alpha;
    ``n_correct`` of ``total`` predictions, of all passes, hit the target (None: not counted).
    """

    loss: Tensor
    nll_loss: Tensor
    kl_loss: Tensor
    n_correct: Tensor | None = None
    total: Tensor | None = None


@dataclass(frozen=True)
class Objective:
    """The objective of a model's passes over a batch.

    Args:
        label_smoothing, ce_reduction: see :func:`.functional.rdrop_loss`.
        ignore_index: the target of padding.
        ignore_prefix_size: that many first target positions count for nothing.
        loss_kind: "fused", "plain", or "auto" for fused where the model allows it.
        chunk_size: of the fused loss, 0 chooses.
        count_correct: also count the correct predictions.

    Raises:
        ValueError: a negative chunk size.
    """

    label_smoothing: float
    ce_reduction: CEReduction
    ignore_index: int
    ignore_prefix_size: int
    loss_kind: str
    chunk_size: int
    count_correct: bool

    def __post_init__(self) -> None:
        check_non_negative("--rdrop-chunk-size", self.chunk_size)

    def choose(self, model: Any, sample: dict[str, Any]) -> tuple[nn.Linear | None, str]:
        """The layer to fuse the loss with, or None for the plain loss, and the choice in words for the log.

        Raises:
            RDropError: the model cannot be trained so.
        """
        layer, reason = None, "--rdrop-loss plain"
        if self.loss_kind != "plain":
            layer, reason = find_output_projection(model)
        if layer is not None and (problem := why_not_fused(model, layer, sample)):
            layer, reason = None, problem
        if layer is not None:
            return layer, f"fused loss{', kernel' if has_kernel(layer.weight) else ''} ({reason})"
        if self.loss_kind == "fused":
            raise RDropError(f"--rdrop-loss fused: {reason}; use auto or plain")
        check_output(model, sample)
        return None, f"plain loss ({reason})"

    def __call__(
        self,
        model: Any,
        layer: nn.Linear | None,
        sample: dict[str, Any],
        forwards: Sequence[Callable[[], Any]],
        update: Update,
        reduce: bool = True,
    ) -> Sums:
        """The sums over the outputs of ``forwards``, which make the passes.

        With ``reduce=False`` the losses are not summed: (B, T).
        """
        if layer is None or not reduce:
            return self._plain(model, sample, forwards, update, reduce)
        return self._fused(model, layer, sample, forwards, update)

    def _plain(
        self,
        model: Any,
        sample: dict[str, Any],
        forwards: Sequence[Callable[[], Any]],
        update: Update,
        reduce: bool,
    ) -> Sums:
        net_outputs = [forward() for forward in forwards]
        parts = [model.get_normalized_probs(net_output, log_probs=True) for net_output in net_outputs]
        lprobs = torch.cat(parts) if len(parts) > 1 else parts[0]  # (K * B, T, V)
        target = model.get_targets(sample, net_outputs[0])  # (B, T)
        lprobs = lprobs[:, self.ignore_prefix_size :]
        target = target[:, self.ignore_prefix_size :]
        losses = rdrop_loss_from_lprobs(
            lprobs,
            target,
            alpha=update.kl_weight,
            passes=update.passes,
            label_smoothing=self.label_smoothing,
            ignore_index=self.ignore_index,
            ce_reduction=self.ce_reduction,
            reduction="sum" if reduce else "none",
        )
        if self.ce_reduction == "sum":  # ce_weight is not 1 in a single pass only, which has no KL
            losses = losses._replace(loss=losses.loss * update.ce_weight)
        if not self.count_correct:
            return Sums(*losses)
        counted = target.ne(self.ignore_index)
        hits = lprobs.argmax(-1).unflatten(0, (update.passes, -1)).eq(target) & counted
        return Sums(*losses, hits.sum(), counted.sum() * update.passes)

    def _fused(
        self,
        model: Any,
        layer: nn.Linear,
        sample: dict[str, Any],
        forwards: Sequence[Callable[[], Any]],
        update: Update,
    ) -> Sums:
        target = sample["target"]
        if self.ignore_prefix_size > 0:
            target = target.clone()
            target[:, : self.ignore_prefix_size] = self.ignore_index
        options = Options(
            alpha=update.kl_weight,
            passes=update.passes,
            label_smoothing=self.label_smoothing,
            ignore_index=self.ignore_index,
            ce_scale=float(update.ce_weight) if self.ce_reduction == "sum" else 1.0 / update.passes,
            chunk_size=self.chunk_size or None,
            max_positions=sample["ntokens"] if isinstance(sample["ntokens"], int) else None,
        )
        hidden = [_hidden_states(model, layer, forward) for forward in forwards]  # (B, T, D) or (K * B, T, D)
        states = torch.cat(hidden) if len(hidden) > 1 else hidden[0]
        sums = linear_rdrop_sums(states, layer.weight, layer.bias, target, options)
        nll_loss, kl_loss, n_correct = sums.detach()[1:]
        if not self.count_correct:
            return Sums(sums[0], nll_loss, kl_loss)
        total = target.ne(self.ignore_index).sum() * update.passes
        return Sums(sums[0], nll_loss, kl_loss, n_correct, total)


def _hidden_states(model: Any, layer: nn.Linear, forward: Callable[[], Any]) -> Tensor:
    """What a forward of the model would project.

    Raises:
        RDropError: the model does something else in it than in that of its first step.
    """
    logits = layer.weight.new_zeros(1, 1, layer.out_features)  # of one position, in the place of all
    version = logits._version
    try:
        net_output, hidden = call_with_logits(layer, forward, logits)
    except CallsError as error:
        raise RDropError(f"{type(model).__name__} {error}, {_ONCE_NOT}") from None
    if not is_output(net_output, logits) or logits._version != version:
        raise RDropError(f"{type(model).__name__} changes what its output projection returns, {_ONCE_NOT}")
    return hidden


_ONCE_NOT = "but did not in its first step: train it with --rdrop-loss plain"
