"""How the passes over a batch are made: in one forward or in several. Their noise is in noise.py."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from torch import nn

from .noise import (
    check_dropout_rate,
    dropout_rate,
    dropouts,
    functional_dropouts,
    layer_drops,
    token_cutoff,
    token_embeddings,
)
from .projection import repeat

logger = logging.getLogger(__name__)


class Passes:
    """The passes of a model over a batch.

    Args:
        count: number of passes.
        forward: "concat", one forward over the batch repeated ``count`` times; "separate", one a pass;
            "auto", concat where its passes are as independent as those of separate. (BatchNorm differs: in
            concat it takes the rows of all passes together, as one batch.)
        dropout: a rate for each pass, see :func:`dropout_rate`, or none.
        cutoff: the rate of :func:`token_cutoff` in every pass but the first; with a count of 1, in that one.

    Raises:
        ValueError: rates out of range, or that do not fit the number of passes or the forward.
    """

    def __init__(self, count: int, forward: str, dropout: Sequence[float] = (), cutoff: float = 0.0) -> None:
        rates = ", ".join(map(str, dropout))
        if dropout and len(dropout) != count:
            raise ValueError(f"dropout must have one rate per pass ({count}), got {rates}")
        if not all(0.0 <= rate < 1.0 for rate in dropout):
            raise ValueError(f"dropout must have rates in [0, 1), got {rates}")
        if dropout and forward == "concat":
            raise ValueError("dropout needs --rdrop-forward separate (or auto): one forward has one rate")
        if not 0.0 <= cutoff < 1.0:
            raise ValueError(f"cutoff must be in [0, 1), got {cutoff}")
        self.count = count
        self.forward = forward
        self.dropout = list(dropout)
        self.cutoff = cutoff
        self.separate = forward == "separate"

    def prepare(self, model: nn.Module, sample: dict[str, Any]) -> str:
        """Choose the forward for the model and its first batch. Returns it, with its reason, for the log.

        Raises:
            ValueError: the model cannot do what a flag asks for.
        """
        if self.dropout:
            check_dropout_rate(model)
        if self.cutoff and not token_embeddings(model):
            raise ValueError("--rdrop-cutoff needs a model with token embeddings (embed_tokens)")
        reason = "--rdrop-dropout" if self.dropout else _why_not_repeat(model)
        if reason is not None:
            self._check_not_asked_for(reason)
            self.separate = True
        elif not self.separate and self.count > 1:
            reason = self._try_to_repeat(sample, 1)[1]
        if not self.separate:
            return "concat"
        return f"separate ({reason if self.forward == 'auto' else '--rdrop-forward'})"

    def differ(self, model: nn.Module) -> bool:
        """Whether any noise is known that makes the passes differ."""
        rates = self.dropout or [rate for _, _, rate in dropouts(model)]
        return any(rates) or self.cutoff > 0 or any(layer_drops(model)) or bool(functional_dropouts(model))

    def forwards(self, model: Any, sample: dict[str, Any], count: int) -> list[Callable[[], Any]]:
        """The calls of the model that make ``count`` passes, :attr:`count` or one: one over the repeated
        batch, or one a pass. The sample is not modified.

        Raises:
            ValueError: --rdrop-forward concat, and the batch cannot be repeated.
        """
        net_input, batch_size = sample["net_input"], sample["target"].size(0)
        if count > 1 and not self.separate:
            repeated, reason = self._try_to_repeat(sample, count)
            if reason is None:
                return [partial(self._forward, model, repeated, None, batch_size)]
            logger.info(f"R-Drop: forward separate from now on ({reason})")
        rates: list[float | None] = [None] * count
        if count == self.count and self.dropout:  # not in the single passes before the start update
            rates = [*self.dropout]
        return [
            partial(self._forward, model, net_input, rate, None if number == 0 and self.count > 1 else 0)
            for number, rate in enumerate(rates)
        ]

    def _try_to_repeat(self, sample: dict[str, Any], count: int) -> tuple[Any, str | None]:
        """The repeated ``net_input``, or the reason why there is none and the passes are separate now."""
        try:
            return repeat(sample["net_input"], count, sample["target"].size(0), "net_input"), None
        except ValueError as error:
            self._check_not_asked_for(str(error))
            self.separate = True
            return None, str(error)

    def _check_not_asked_for(self, reason: str) -> None:
        if self.forward == "concat" and self.count > 1:
            raise ValueError(f"--rdrop-forward concat: {reason}; use auto or separate")

    def _forward(
        self, model: Any, net_input: dict[str, Any], rate: float | None, cut_from: int | None
    ) -> Any:
        with ExitStack() as noise:
            if rate is not None:
                noise.enter_context(dropout_rate(model, rate))
            if self.cutoff and cut_from is not None:
                noise.enter_context(token_cutoff(model, self.cutoff, cut_from))
            return model(**net_input)


def _why_not_repeat(model: nn.Module) -> str | None:
    """Why one forward over a repeated batch is not the same as several over the batch, or None."""
    for module in model.modules():
        if isinstance(module, nn.RNNBase):
            return f"the {type(module).__name__} takes its sentences sorted by length"
    if any(layer_drops(model)):
        return "LayerDrop drops the same layers for a whole batch"
    return None
