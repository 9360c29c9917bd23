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
    kernel: the elementwise part has a kernel, in Triton.
    chunk_bytes: of the logits of a chunk. A product needs some rows to be fast: see docs/fused-loss.md.
    block_bytes: of those, in fp32, that the elementwise part takes at a time where it is done by torch.
    """

    host_reads: bool
    half_products: bool
    kernel: bool
    chunk_bytes: int
    block_bytes: int


# On a CPU a chunk's logits, and more so a block's, should stay in the cache.
CPU = Device(host_reads=True, half_products=False, kernel=False, chunk_bytes=32 << 20, block_bytes=2 << 20)
# Of ROCm too.
CUDA = Device(host_reads=False, half_products=True, kernel=True, chunk_bytes=128 << 20, block_bytes=128 << 20)
# xpu, mps, npu ...: only what every back end has; the host waits for a value here and there.
OTHER = Device(
    host_reads=True, half_products=False, kernel=False, chunk_bytes=128 << 20, block_bytes=128 << 20
)
DEVICES = {"cpu": CPU, "cuda": CUDA, "meta": CUDA}  # meta holds no values to look at


def device_of(tensor: Tensor) -> Device:
    return DEVICES.get(tensor.device.type, OTHER)


def positions_of(counted: Tensor, upper_bound: int | None) -> Tensor:
    """Indices of the true elements of a vector, (n).

    Where the host may not count, n is the upper bound, and fillers make it up: the vector's length, which is
    the index of no element.
    """
    if device_of(counted).host_reads:
        return counted.nonzero().squeeze(1)
    size = len(counted) if upper_bound is None else min(upper_bound, len(counted))
    torch._assert_async(counted.sum() <= size)
    return nonzero_static(counted, size)
