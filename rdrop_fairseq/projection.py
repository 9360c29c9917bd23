"""What every framework's side needs of a model's output projection; nothing here imports a framework.

The loss of hidden states (losses/fused.py) does the projection itself. So for the length of a call something
stands in for the projection's own ``forward``, and gets the hidden states.

The loss of those is the right one only where the model returns what its projection returned. A model may
scale, bend or mask its logits, or add to them: so nothing is known here by the name of a model, but
:func:`probe` has the projection return known numbers and shows what comes of them.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

T = TypeVar("T")

FACTORS = (0.0, 1.0, 128.0)  # of the numbers: they show a bias, a scale, and whether far out it is the same


class Probe(NamedTuple):
    """What a model made of known numbers.

    numbers: what its projection returned, (1, 3, V): :data:`FACTORS` times one number for each class.
    returned: the copy of them that the model got.
    output: what the call of the model returned.
    hidden: what the model called its projection with, (..., D).
    """

    numbers: Tensor
    returned: Tensor
    output: Any
    hidden: Tensor


def is_plain(layer: Any) -> bool:
    """Whether the layer is a Linear that computes what its class does."""
    return type(layer) is nn.Linear and "forward" not in vars(layer)


@contextmanager
def stand_in(module: nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Have a call of ``module`` in the context call ``forward``. A ``forward`` of its own comes back."""
    own = vars(module).get("forward")
    module.forward = forward
    try:
        yield
    finally:
        if own is None:
            del module.forward
        else:
            module.forward = own


class CallsError(ValueError):
    """A model does not call its output projection exactly once."""


def call_with_logits(layer: nn.Linear, call: Callable[[], T], logits: Tensor) -> tuple[T, Tensor]:
    """Calls ``call``, a forward of a model, with ``layer`` returning ``logits``.

    Returns its result, and what the model called the layer with, (..., D).

    Raises:
        CallsError: the model does not call the layer exactly once; says so as ``{model} {error}``.
    """
    inputs: list[Tensor] = []

    def forward(hidden: Tensor) -> Tensor:
        inputs.append(hidden)
        return logits

    with stand_in(layer, forward):
        result = call()
    if len(inputs) != 1:
        raise CallsError(f"calls its output projection {len(inputs)} times")
    return result, inputs[0]


def probe(layer: nn.Linear, call: Callable[[], Any]) -> Probe:
    """Calls ``call``, a forward of a model, with ``layer`` returning known numbers.

    The numbers are of three positions, whatever the batch. They are exact in bf16, too.

    Raises:
        CallsError: the model does not call the layer exactly once.
    """
    weight = layer.weight
    generator = torch.Generator().manual_seed(1)
    sizes = torch.randint(32, 65, (layer.out_features,), generator=generator) / 64.0
    signs = torch.randint(0, 2, (layer.out_features,), generator=generator) * 2 - 1
    numbers = torch.tensor(FACTORS).view(1, -1, 1) * (sizes * signs)
    numbers = numbers.to(device=weight.device, dtype=weight.dtype)
    returned = numbers.clone().requires_grad_().clone()  # as logits do, for hooks of their gradient
    output, hidden = call_with_logits(layer, call, returned)
    return Probe(numbers, returned, output, hidden)


def scale_and_bias(numbers: Tensor, logits: Tensor) -> tuple[float, Tensor | None]:
    """What a model does to the numbers of a :class:`Probe`: ``logits = scale * numbers + bias``.

    The bias is float32, (V), with -inf for a class that is masked; None where it is 0.

    Raises:
        ValueError: the model does anything else; says so as ``{model} {error}``.
    """
    if not isinstance(logits, Tensor) or logits.shape != numbers.shape:
        raise ValueError("returns logits of another shape than its output projection")
    epsilon = 4 * torch.finfo(logits.dtype).eps
    zero, *others = logits[0].float()
    finite = zero.isfinite()
    bias, per_class = zero[finite], numbers[0, 1].float()[finite]
    factors = torch.tensor(FACTORS[1:], device=logits.device).unsqueeze(1)  # (2, 1)
    slopes = (torch.stack(others)[:, finite] - bias) / (factors * per_class)
    if not finite.any():
        raise ValueError("masks all classes")
    scale = slopes[1, bias.abs().eq(bias.abs().min())].mean().item()  # rounding averages out
    rounding = epsilon * bias.abs() / (factors * per_class.abs())
    if not ((slopes - scale).abs() <= max(1e-3, epsilon) * abs(scale) + rounding).all():
        raise ValueError("does more to its logits than to scale them and to add a bias")
    return scale, zero if zero.any() else None


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Without a trace: what a forward in training changes comes back.

    That is the random states (torch's, Python's, numpy's), and of every module its parameters, buffers and
    attributes, with what is in their lists, sets and dictionaries.
    """
    own: list[Any] = [vars(module) for module in model.modules()]
    inner = [v for attributes in own for v in attributes.values() if isinstance(v, (dict, list, set))]
    containers = [(container, copy.copy(container)) for container in own + inner]
    values = [v for _, c in containers for v in (c.values() if isinstance(c, dict) else c)]
    tensors = {id(v): v for v in values if isinstance(v, Tensor) and not _is_expanded(v)}.values()
    contents = [(tensor, tensor.data, tensor.data.clone()) for tensor in tensors]
    restore_generators = _generators({tensor.device for tensor in tensors})
    try:
        yield
    finally:
        for container, content in containers:
            container.clear()
            (container.extend if isinstance(container, list) else container.update)(content)
        for tensor, data, before in contents:
            tensor.data = data
            data.copy_(before)
        restore_generators()


def _is_expanded(tensor: Tensor) -> bool:
    """Whether elements share memory: torch writes to none of them then, and neither can we."""
    return tensor.layout == torch.strided and 0 in tensor.stride()


def _generators(devices: set[torch.device]) -> Callable[[], None]:
    """A function that brings back the present states of all generators of random numbers."""
    setters: list[Callable[[], Any]] = [
        partial(random.setstate, random.getstate()),
        partial(np.random.set_state, np.random.get_state()),
        partial(torch.set_rng_state, torch.get_rng_state()),
    ]
    for device in devices:
        of_type: Any = getattr(torch, device.type, None)
        if hasattr(of_type, "set_rng_state"):
            which = () if device.type == "mps" else (device,)
            setters.append(partial(of_type.set_rng_state, of_type.get_rng_state(*which), *which))

    def restore() -> None:
        for setter in setters:
            setter()

    return restore


def repeat(values: Any, passes: int, batch_size: int, name: str) -> Any:
    """The input of ``passes`` passes: every tensor repeated along dimension 0, pass-major.

    Tensors are found at any depth of dicts, lists and tuples, whatever their keys (prefix tokens,
    language ids). A list as long as the batch has an item for each sentence, and is repeated itself. Other
    values and 0-dimensional tensors are kept. The argument is not modified.

    Raises:
        ValueError: a tensor's dimension 0 is not ``batch_size``, or a list as long as the batch has items
            that may be the batch as well, so that repeating it would be a guess. Says it by ``name``.
    """
    if isinstance(values, Tensor):
        if values.dim() == 0:
            return values
        if values.size(0) != batch_size:
            raise ValueError(
                f"cannot repeat {name}: its dimension 0 is {values.size(0)}, "
                f"the batch has {batch_size} sentences"
            )
        return torch.cat([values] * passes)
    if isinstance(values, dict):
        return {key: repeat(value, passes, batch_size, f"{name}[{key!r}]") for key, value in values.items()}
    if isinstance(values, (list, tuple)):
        items: list[Any] = list(values)
        if len(items) == batch_size:
            tensors = [item for item in items if isinstance(item, Tensor)]
            if all(item.dim() == 0 or item.size(0) == batch_size for item in tensors):
                raise ValueError(f"cannot repeat {name}: its {batch_size} items may be sentences, or not")
            return type(values)(items * passes)
        return type(values)(repeat(item, passes, batch_size, f"{name}[{i}]") for i, item in enumerate(items))
    return values
