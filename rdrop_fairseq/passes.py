"""Repeat a batch, so that one forward makes K passes with independent dropout masks."""

from typing import Any

import torch


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
                f"the batch has {batch_size} sentences"
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
