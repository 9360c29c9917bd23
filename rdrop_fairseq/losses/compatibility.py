"""What differs between versions of torch from 2.0 on. Each entry names the version that ends it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor


def _torch_is(*version: int) -> bool:
    """Whether torch is of this version or a newer one."""
    major, minor = torch.__version__.split(".")[:2]
    return (int(major), int(minor)) >= version


def autocast_dtype(device: str) -> torch.dtype | None:
    """The dtype of autocast where it is on, else None. torch 2.4: is_autocast_enabled(device)."""
    if _torch_is(2, 4):
        enabled = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
        return torch.get_autocast_dtype(device) if enabled else None
    if device == "cpu":
        return torch.get_autocast_cpu_dtype() if torch.is_autocast_cpu_enabled() else None
    return torch.get_autocast_gpu_dtype() if device == "cuda" and torch.is_autocast_enabled() else None


def no_autocast(device: str) -> AbstractContextManager[Any]:
    """A context without autocast, also on devices that have none. torch 2.4: is_autocast_available."""
    if _torch_is(2, 4) and not torch.amp.is_autocast_available(device):
        return nullcontext()
    return torch.autocast(device, enabled=False)


def mm(a: Tensor, b: Tensor, dtype: torch.dtype) -> Tensor:
    """a @ b, added up and returned in ``dtype``. torch 2.8: mm(out_dtype=), on CUDA."""
    if _torch_is(2, 8) and a.is_cuda:
        return torch.mm(a, b, out_dtype=dtype)
    return torch.mm(a.to(dtype), b.to(dtype))


def nonzero_static(mask: Tensor, size: int) -> Tensor:
    """Indices of the true elements, (size, mask.dim()), filled up with -1; no synchronisation.

    torch 2.10: nonzero_static runs on CUDA since 2.7, with an empty mask since 2.10.
    """
    if _torch_is(2, 10):
        return torch.nonzero_static(mask, size=size, fill_value=-1)
    flat = mask.flatten().to(torch.uint8)
    index = flat.sort(descending=True, stable=True).indices[:size]
    columns = []
    for length in reversed(mask.shape):
        columns.append(index % length)
        index = torch.div(index, length, rounding_mode="floor")
    filled = torch.arange(len(index), device=mask.device) >= flat.sum()
    return torch.stack(columns[::-1], dim=1).masked_fill(filled.unsqueeze(1), -1)


def can_compile() -> bool:
    """Whether torch.compile is what compiled.py needs. torch 2.4: True."""
    return _torch_is(2, 4)


def add_safe_globals(types: list[Any]) -> None:
    """Allow these types in torch.load. torch 2.6: its default is weights_only=True."""
    if _torch_is(2, 6):
        torch.serialization.add_safe_globals(types)
