"""How the passes over a batch are made: in one forward or in several, and the noise that tells them apart.

A new kind of noise is a context manager here, like :func:`dropout_rate` and :func:`token_cutoff`, that
``Passes._forward`` enters for the passes that have it, and a flag in config.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from fairseq.modules import FairseqDropout, LayerDropModuleList
from torch import Tensor, nn


class Passes:
    """The passes of a model over a batch.

    Args:
        count: number of passes.
        forward: "concat", one forward over the batch repeated ``count`` times; "separate", one a pass;
            "auto", concat where it does the same as separate.
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

    def prepare(self, model: nn.Module) -> str:
        """Choose the forward for the model. Returns the choice, with its reason, for the log.

        Raises:
            ValueError: the model cannot do what a flag asks for.
        """
        if self.dropout:
            _check_dropout_rate(model)
        if self.cutoff and not _token_embeddings(model):
            raise ValueError("--rdrop-cutoff needs a model with token embeddings (embed_tokens)")
        reason = "--rdrop-dropout" if self.dropout else _why_not_repeat(model)
        if self.forward == "auto":
            self.separate = reason is not None
        elif reason is not None and not self.separate and self.count > 1:
            raise ValueError(f"--rdrop-forward concat: {reason}; use auto or separate")
        if not self.separate:
            return "concat"
        return f"separate ({reason if self.forward == 'auto' else '--rdrop-forward'})"

    def differ(self, model: nn.Module) -> bool:
        """Whether any noise is known that makes the passes differ."""
        rates = self.dropout or [rate for _, _, rate in _dropouts(model)]
        return any(rates) or self.cutoff > 0 or any(_layer_drops(model))

    def forwards(self, model: Any, sample: dict[str, Any], count: int) -> list[Callable[[], Any]]:
        """The calls of the model that make ``count`` passes, :attr:`count` or one: one over the repeated
        batch, or one a pass. The sample is not modified.
        """
        net_input, batch_size = sample["net_input"], sample["target"].size(0)
        if count > 1 and not self.separate:
            repeated = repeat_batch(net_input, count, batch_size)
            return [partial(self._forward, model, repeated, None, batch_size)]
        rates: list[float | None] = [None] * count
        if count == self.count and self.dropout:  # not in the single passes before the start update
            rates = [*self.dropout]
        return [
            partial(self._forward, model, net_input, rate, None if number == 0 and self.count > 1 else 0)
            for number, rate in enumerate(rates)
        ]

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
    if any(_layer_drops(model)):
        return "LayerDrop drops the same layers for a whole batch"
    return None


def repeat_batch(net_input: Any, passes: int, batch_size: int, name: str = "net_input") -> Any:
    """``net_input`` with every tensor repeated ``passes`` times along dimension 0, pass-major.

    Tensors are found at any depth of dicts, lists and tuples, whatever their keys (prefix tokens,
    language ids); other values and 0-dimensional tensors are kept. The argument is not modified.

    Raises:
        ValueError: a tensor's dimension 0 is not ``batch_size``, so that repeating it would be a guess.
    """
    if isinstance(net_input, torch.Tensor):
        if net_input.dim() == 0:
            return net_input
        if net_input.size(0) != batch_size:
            raise ValueError(
                f"cannot repeat {name} for R-Drop: its dimension 0 is {net_input.size(0)}, "
                f"the batch has {batch_size} sentences; use --rdrop-forward separate"
            )
        return torch.cat([net_input] * passes)
    if isinstance(net_input, dict):
        return {
            key: repeat_batch(value, passes, batch_size, f"{name}[{key!r}]")
            for key, value in net_input.items()
        }
    if isinstance(net_input, (list, tuple)):
        items = [repeat_batch(value, passes, batch_size, f"{name}[{i}]") for i, value in enumerate(net_input)]
        return type(net_input)(items)
    return net_input


@contextmanager
def dropout_rate(model: nn.Module, rate: float) -> Iterator[None]:
    """Within the context the model's highest dropout rate is ``rate``; lower ones keep their proportion.

    The highest rate is that of ``--dropout`` in the usual recipe, the lower ones those of attention and
    activations: ``rate`` = ``--dropout`` changes nothing, and what is off stays off.
    """
    dropouts = _dropouts(model)
    highest = max(own for _, _, own in dropouts)
    try:
        for module, name, own in dropouts:
            setattr(module, name, own * rate / highest)
        yield
    finally:
        for module, name, own in dropouts:
            setattr(module, name, own)


def _check_dropout_rate(model: nn.Module) -> None:
    if not any(rate for _, _, rate in _dropouts(model)):
        raise ValueError("--rdrop-dropout needs a model with dropout: set --dropout above 0")
    if any(hasattr(module, "precheckpoint_forward") for module in model.modules()):
        # What is computed again in the backward pass would be so at another rate.
        raise ValueError("--rdrop-dropout cannot be combined with --checkpoint-activations")


def _dropouts(model: nn.Module) -> list[tuple[nn.Module, str, float]]:
    """The modules with dropout, the attribute that has the rate, and the rate."""
    names = [(module, _rate_attribute(module)) for module in model.modules()]
    return [(module, name, getattr(module, name)) for module, name in names if name]


def _rate_attribute(module: nn.Module) -> str | None:
    """The attribute with the module's own dropout rate."""
    if isinstance(module, (FairseqDropout, nn.modules.dropout._DropoutNd)):
        return "p"
    return "dropout" if isinstance(module, nn.RNNBase) else None


def _layer_drops(model: nn.Module) -> list[float]:
    return [module.p for module in model.modules() if isinstance(module, LayerDropModuleList)]


@contextmanager
def token_cutoff(model: nn.Module, rate: float, first_row: int) -> Iterator[None]:
    """Within the context every token embedding that is looked up, source side and decoder input, is zero
    with probability ``rate``, but for padding and the rows of the batch before ``first_row``.

    (Token cutoff: Shen et al. 2020, arXiv:2009.13818. Nothing is rescaled.) What a lookup returns is
    changed and not the table: the output projection of tied embeddings stays whole, and so do positions
    and padding masks, which come from the tokens.
    """

    def cut(embedding: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        tokens = inputs[0]  # (B, T); output (B, T, D)
        zero = torch.zeros_like(tokens, dtype=torch.bool)
        rows = zero[first_row:]
        rows.copy_(torch.rand(rows.shape, device=rows.device) < rate)
        if (padding_idx := getattr(embedding, "padding_idx", None)) is not None:
            zero &= tokens.ne(padding_idx)
        return output.masked_fill(zero.unsqueeze(-1), 0.0)

    handles = [embedding.register_forward_hook(cut) for embedding in _token_embeddings(model)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _token_embeddings(model: nn.Module) -> list[nn.Module]:
    """The tables under the name that all of fairseq's encoders and decoders give them; a shared one once."""
    tables = [getattr(module, "embed_tokens", None) for module in model.modules()]
    return list(dict.fromkeys(table for table in tables if isinstance(table, nn.Module)))
