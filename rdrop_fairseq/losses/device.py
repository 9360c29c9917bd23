"""How the losses work on a device: a table, the only place that tells one device from another.

Also the indices of the positions that count, which the host cannot ask every device for.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .compatibility import nonzero_static


class Device(NamedTuple):
    """What depends on the device.

    host_reads: the host may look at a value. Where it may not, so as to wait for nothing, fillers make up
        for a number of positions that it does not know, and the device itself asserts.
    half_products: matrix products take fp16 and bf16 as they are, and add up in fp32; else all are in fp32.
    chunk_bytes: of the logits of a chunk. A product needs some rows to be fast: see docs/fused-loss.md.
    block_bytes: of those of a chunk's rows that the elementwise part takes at a time.
    """

    host_reads: bool
    half_products: bool
    chunk_bytes: int
    block_bytes: int


# On a CPU a chunk's logits, and more so a block's, should stay in the cache.
CPU = Device(host_reads=True, half_products=False, chunk_bytes=32 << 20, block_bytes=2 << 20)
CUDA = Device(host_reads=False, half_products=True, chunk_bytes=512 << 20, block_bytes=512 << 20)
# xpu, mps, npu ...: only what every back end has; the host waits for a value here and there.
OTHER = Device(host_reads=True, half_products=False, chunk_bytes=512 << 20, block_bytes=512 << 20)
DEVICES = {"cpu": CPU, "cuda": CUDA, "meta": CUDA}  # meta holds no values to look at


def device_of(tensor: Tensor) -> Device:
    return DEVICES.get(tensor.device.type, OTHER)


def positions_of(counted: Tensor, upper_bound: int | None) -> tuple[Tensor, bool]:
    """Indices of the true elements, (n, counted.dim()), and whether fillers of -1 are among them.

    Fillers are there where the host may not count: n is then the upper bound.
    """
    if device_of(counted).host_reads:
        return counted.nonzero(), False
    size = counted.numel() if upper_bound is None else min(upper_bound, counted.numel())
    torch._assert_async(counted.sum() <= size)
    return nonzero_static(counted, size), True
