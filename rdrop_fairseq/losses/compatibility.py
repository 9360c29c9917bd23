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
    """a @ b, added up in fp32 at least, in ``dtype``. torch 2.8: mm(out_dtype=), on CUDA and not on ROCm."""
    if a.dtype == dtype:
        return torch.mm(a, b)
    if _torch_is(2, 8) and a.device.type in ("cuda", "meta") and torch.version.hip is None:
        return torch.mm(a, b, out_dtype=dtype)
    return torch.mm(a.to(dtype), b.to(dtype))


def nonzero_static(mask: Tensor, size: int) -> Tensor:
    """Indices of the true elements of a vector, (size), filled up with its length; no synchronisation.

    torch 2.10: nonzero_static runs on CUDA since 2.7, with an empty mask since 2.10.
    """
    if _torch_is(2, 10):
        return torch.nonzero_static(mask, size=size, fill_value=len(mask)).squeeze(1)
    index = mask.to(torch.uint8).sort(descending=True, stable=True).indices[:size]
    return index.masked_fill(torch.arange(len(index), device=mask.device) >= mask.sum(), len(mask))


def keeps_graph() -> bool:
    """Whether the backward that is running may run again (retain_graph). It is a private name of torch's."""
    ask: Any = getattr(torch._C._autograd, "_get_current_graph_task_keep_graph", lambda: True)
    return bool(ask())


def add_safe_globals(types: list[Any]) -> None:
    """Allow these types in torch.load. torch 2.6: its default is weights_only=True."""
    if _torch_is(2, 6):
        torch.serialization.add_safe_globals(types)
