"""Matrix products of low-precision operands that lose neither small gradients nor the sum's precision."""

from __future__ import annotations

import torch
from torch import Tensor

from .compatibility import mm


def scale_of(bound: Tensor) -> tuple[Tensor, Tensor]:
    """Powers of two that bring fp16 gradients of at most ``bound`` below 2^14, and their inverses.

    fp16 can't represent small gradients. Nothing at all gets an inverse that is smaller than every other.
    """
    exponent = 14 - torch.frexp(bound).exponent.clamp(-99, 101)  # bound < 2^exponent of frexp
    exponent = exponent.masked_fill(bound.eq(0), 113).to(bound.dtype)
    return torch.exp2(exponent), torch.exp2(-exponent)


def add_product(
    total: Tensor | None, a: Tensor, b: Tensor, dtype: torch.dtype, factor: Tensor | None
) -> Tensor:
    """total + factor * a @ b in ``dtype``, even where a and b are fp16 or bf16; in the place of ``total``.

    Without a total it is the product, without a factor that is 1.
    """
    if total is not None and factor is None and a.dtype == dtype:
        return total.addmm_(a, b)
    product = mm(a, b, dtype)
    if factor is not None:
        return product.mul_(factor) if total is None else total.addcmul_(product, factor)
    return product if total is None else total.add_(product)
