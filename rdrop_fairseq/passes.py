"""K passes over one batch: the batch repeated for one forward, or a dropout rate for each of K forwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from fairseq.modules import FairseqDropout
from torch import nn


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

    Raises:
        ValueError: the model has no dropout, or recomputes its activations in the backward pass, where
            the rate would be another one.
    """
    holders = [(module, name) for module in model.modules() if (name := _rate_attribute(module))]
    rates = [getattr(module, name) for module, name in holders]
    highest = max(rates, default=0.0)
    if highest == 0:
        raise ValueError("--rdrop-dropout needs a model with dropout: set --dropout above 0")
    if any(hasattr(module, "precheckpoint_forward") for module in model.modules()):
        raise ValueError("--rdrop-dropout cannot be combined with --checkpoint-activations")
    try:
        for (module, name), own in zip(holders, rates, strict=True):
            setattr(module, name, own * rate / highest)
        yield
    finally:
        for (module, name), own in zip(holders, rates, strict=True):
            setattr(module, name, own)


def _rate_attribute(module: nn.Module) -> str | None:
    """The attribute with the module's own dropout rate."""
    if isinstance(module, (FairseqDropout, nn.modules.dropout._DropoutNd)):
        return "p"
    return "dropout" if isinstance(module, nn.RNNBase) else None
