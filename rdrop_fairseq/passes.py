"""How the passes over a batch are made: in one forward or in several. Their noise is in noise.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any

from torch import nn

from .errors import RDropError
from .noise import (
    check_dropout_rates,
    dropout_scaled_to,
    dropouts,
    functional_dropouts,
    layer_drops,
    token_cutoff,
    token_embeddings,
)
from .projection import repeat


class Passes:
    """The passes of a model over a batch.

    Args:
        count: number of passes.
        arrangement: "concat", one forward over the batch repeated ``count`` times; "separate", one a pass;
            "auto", concat where its passes are as independent as those of separate. (BatchNorm differs: in
            concat it takes the rows of all passes together, as one batch.)
        dropout: a rate for each pass, see :func:`dropout_scaled_to`, or none.
        cutoff: the rate of :func:`token_cutoff` in every pass but the first; with a count of 1, in that one.

    Raises:
        ValueError: rates out of range, or that do not fit the number of passes or the arrangement.
    """

    def __init__(
        self, count: int, arrangement: str, dropout: Sequence[float] = (), cutoff: float = 0.0
    ) -> None:
        rates = ", ".join(map(str, dropout))
        if dropout and len(dropout) != count:
            raise ValueError(f"--rdrop-dropout must have one rate per pass ({count}), got {rates}")
        if not all(0.0 <= rate < 1.0 for rate in dropout):
            raise ValueError(f"--rdrop-dropout must have rates in [0, 1), got {rates}")
        if dropout and arrangement == "concat":
            raise ValueError(
                "--rdrop-dropout needs --rdrop-forward separate (or auto): one forward has one rate"
            )
        if not 0.0 <= cutoff < 1.0:
            raise ValueError(f"--rdrop-cutoff must be in [0, 1), got {cutoff}")
        self.count = count
        self.arrangement = arrangement
        self.dropout = list(dropout)
        self.cutoff = cutoff

    def choose(self, model: nn.Module, sample: dict[str, Any]) -> tuple[bool, str]:
        """Whether the model's passes are separate, judged by it and its first batch, and the choice in words.

        Raises:
            RDropError: the model cannot do what a flag asks for.
        """
        if self.dropout:
            check_dropout_rates(model)
        if self.cutoff and not token_embeddings(model):
            raise RDropError("--rdrop-cutoff needs a model with token embeddings (embed_tokens)")
        if self.arrangement == "separate":
            return True, "separate (--rdrop-forward)"
        reason = "--rdrop-dropout" if self.dropout else _why_not_repeat(model)
        if reason is None and self.count > 1:
            reason = self.repeated(sample, 1)[1]
        if reason is None:
            return False, "concat"
        self._check_not_asked_for(reason)
        return True, f"separate ({reason})"

    def repeated(self, sample: dict[str, Any], count: int) -> tuple[Any, str | None]:
        """The ``net_input`` of ``count`` passes in one forward, or the reason why there is none.

        Raises:
            RDropError: there is none, and --rdrop-forward concat asks for it.
        """
        try:
            return repeat(sample["net_input"], count, sample["target"].size(0), "net_input"), None
        except ValueError as error:
            self._check_not_asked_for(str(error))
            return None, str(error)

    def _check_not_asked_for(self, reason: str) -> None:
        if self.arrangement == "concat" and self.count > 1:
            raise RDropError(f"--rdrop-forward concat: {reason}; use auto or separate")

    def differ(self, model: nn.Module) -> bool:
        """Whether any noise is known that makes the passes differ."""
        rates = self.dropout or [rate for _, _, rate in dropouts(model)]
        return any(rates) or self.cutoff > 0 or any(layer_drops(model)) or bool(functional_dropouts(model))

    def noise_of_one_forward(self, batch_size: int) -> Callable[[nn.Module], AbstractContextManager[None]]:
        """What enters the noise of all passes in one forward over the repeated batch, given the model.

        The first pass is not cut.
        """
        return partial(self._noise, None, batch_size)

    def noise_of_forwards(self, count: int) -> list[Callable[[nn.Module], AbstractContextManager[None]]]:
        """The same for each of ``count`` forwards: all passes, or the one of an update without R-Drop."""
        rates: list[float | None] = [None] * count
        if count == self.count and self.dropout:
            rates = [*self.dropout]
        return [
            partial(self._noise, rate, None if number == 0 and self.count > 1 else 0)
            for number, rate in enumerate(rates)
        ]

    @contextmanager
    def _noise(self, rate: float | None, cut_from: int | None, model: nn.Module) -> Iterator[None]:
        """A dropout rate for the model, or its own, and the token cutoff from that row of the batch on."""
        with ExitStack() as noise:
            if rate is not None:
                noise.enter_context(dropout_scaled_to(model, rate))
            if self.cutoff and cut_from is not None:
                noise.enter_context(token_cutoff(model, self.cutoff, cut_from))
            yield


def _why_not_repeat(model: nn.Module) -> str | None:
    """Why one forward over a repeated batch is not the same as several over the batch, or None."""
    for module in model.modules():
        if isinstance(module, nn.RNNBase):
            return f"the {type(module).__name__} takes its sentences sorted by length"
    if any(layer_drops(model)):
        return "LayerDrop drops the same layers for a whole batch"
    return None
