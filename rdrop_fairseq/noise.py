"""The noise that tells passes apart: dropout, LayerDrop, token cutoff.

A new kind is a context manager here, like :func:`dropout_scaled_to` and :func:`token_cutoff`, that
``Passes._noise`` enters for the passes that have it, and a flag in config.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from fairseq.modules import FairseqDropout, LayerDropModuleList
from torch import Tensor, nn

from .errors import RDropError


@contextmanager
def dropout_scaled_to(model: nn.Module, rate: float) -> Iterator[None]:
    """Make ``rate`` the model's highest dropout rate in the context; lower ones keep their proportion.

    The highest rate is that of ``--dropout`` in the usual recipe, the lower ones those of attention and
    activations: ``rate`` = ``--dropout`` changes nothing, and what is off stays off.
    """
    found = dropouts(model)
    highest = max(own for _, _, own in found)
    try:
        for module, name, own in found:
            setattr(module, name, own * rate / highest)
        yield
    finally:
        for module, name, own in found:
            setattr(module, name, own)


def check_dropout_rates(model: nn.Module) -> None:
    """
    Raises:
        RDropError: :func:`dropout_scaled_to` would not reach all dropout of the model, or there is none.
    """
    if found := functional_dropouts(model):
        module, name = found[0]
        raise RDropError(
            f"--rdrop-dropout does not reach the dropout of {type(module).__name__}, which is no module "
            f"but a call with the rate {name}: leave it out"
        )
    if not any(rate for _, _, rate in dropouts(model)):
        raise RDropError("--rdrop-dropout needs a model with dropout: set --dropout above 0")
    if any(hasattr(module, "precheckpoint_forward") for module in model.modules()):
        # What is computed again in the backward pass would be so at another rate.
        raise RDropError("--rdrop-dropout cannot be combined with --checkpoint-activations")


def dropouts(model: nn.Module) -> list[tuple[nn.Module, str, float]]:
    """The modules with dropout, the attribute that has the rate, and the rate."""
    names = [(module, _rate_attribute(module)) for module in model.modules()]
    return [(module, name, getattr(module, name)) for module, name in names if name]


def _rate_attribute(module: nn.Module) -> str | None:
    """The attribute with the module's own dropout rate."""
    if isinstance(module, (FairseqDropout, nn.modules.dropout._DropoutNd)):
        return "p"
    return "dropout" if isinstance(module, nn.RNNBase) else None


def functional_dropouts(model: nn.Module) -> list[tuple[nn.Module, str]]:
    """The modules that call a function with a dropout rate of their own, as wav2vec2 does, and its attribute.

    It is told by its name. Where a dropout module in it has the same rate, the attribute is a note of that.
    """
    modules = {id(module) for module, _, _ in dropouts(model)}
    return [
        (module, name)
        for module, name, rate in _numbers(model, "dropout")
        if id(module) not in modules
        and rate not in [getattr(child, "p", None) for child in module.children()]
    ]


def layer_drops(model: nn.Module) -> list[float]:
    """The rates of LayerDrop: of fairseq's lists of layers, and of forwards that compare a rate of their own
    with a random number (wav2vec2, hubert, xm_transformer, data2vec).
    """
    lists = [module.p for module in model.modules() if isinstance(module, LayerDropModuleList)]
    own = [rate for _, _, rate in _numbers(model, "layerdrop")]
    configs = [getattr(getattr(module, "cfg", None), "layerdrop", None) for module in model.modules()]
    return lists + own + [rate for rate in configs if isinstance(rate, float)]


def _numbers(model: nn.Module, word: str) -> list[tuple[nn.Module, str, float]]:
    """The numbers above 0 that modules have under a name with this word."""
    return [
        (module, name, value)
        for module in model.modules()
        for name, value in vars(module).items()
        if word in name and isinstance(value, float) and value > 0
    ]


@contextmanager
def token_cutoff(model: nn.Module, rate: float, first_row: int) -> Iterator[None]:
    """Make every token embedding that is looked up in the context, source side and decoder input, zero
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

    handles = [embedding.register_forward_hook(cut) for embedding in token_embeddings(model)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def token_embeddings(model: nn.Module) -> list[nn.Module]:
    """The tables under the name that all of fairseq's encoders and decoders give them; a shared one once."""
    tables = [getattr(module, "embed_tokens", None) for module in model.modules()]
    return list(dict.fromkeys(table for table in tables if isinstance(table, nn.Module)))
