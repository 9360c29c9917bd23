"""Matrix products of low-precision operands that lose neither small gradients nor the sum's precision."""

from __future__ import annotations

import torch
from torch import Tensor

from .compatibility import mm


def to_product_dtype(grad: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor | float]:
    """``grad`` for a matrix product in ``dtype``, and the factor that the product needs afterwards.

    fp16 can't represent small gradients: a power of two brings the largest to about 2^14.
    """
    if dtype != torch.float16:
        return grad.to(dtype), 1.0
    largest = torch.linalg.vector_norm(grad, torch.inf)
    scale = torch.exp2(torch.floor(14 - largest.clamp(min=2**-14).log2()))
    return torch.mul(grad, scale, out=torch.empty_like(grad, dtype=dtype)), 1 / scale


def addmm_(out: Tensor, a: Tensor, b: Tensor, factor: Tensor | float = 1.0) -> None:
    """out += factor * a @ b, in the precision of ``out`` even where a and b are fp16 or bf16."""
    if a.dtype == out.dtype:
        out.addmm_(a, b)
    else:
        out.add_(mm(a, b, out.dtype) * factor)
