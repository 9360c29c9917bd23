"""The elementwise part of the fused loss as one Triton kernel: formulas and names are those of fused.py.

One program does one position, all its passes together, in two sweeps over the classes. What a sweep reads is
raised to fp32 in registers; the logits are read twice and written once, and nothing else is of their size.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .terms import Weights

MAX_PASSES = 8
ELEMENTS, LEAST_BLOCK = 8192, 2048  # logits that a program takes at a time, and classes at least
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
# fp16 has gradients below 2^14, by a power of two 2^e per position with e = 13 - floor(log2 bound) and the
# logarithm held to +-100. What does not count has the least 2^-e that there is.
LEAST_UNSCALE = tl.constexpr(2.0**-113)


def losses_and_grad_(
    logits: Tensor,
    bias: Tensor | None,
    target: Tensor,
    weights: Weights,
) -> tuple[Tensor, Tensor | None]:
    """What elementwise.losses_and_grad_ does, on logits (n, K, V) of one of DTYPES, K <= MAX_PASSES.

    On "meta" it starts nothing.
    """
    positions, passes, classes = logits.shape
    losses = torch.empty(positions, 4, device=logits.device)
    unscale = torch.empty(positions, device=logits.device) if logits.dtype == torch.float16 else None
    if positions and not logits.is_meta:
        with torch.cuda.device_of(logits):
            _kernel[(positions,)](
                logits,
                logits if bias is None else bias,
                target,
                losses,
                losses if unscale is None else unscale,
                *weights,
                HAS_BIAS=bias is not None,
                SCALED=unscale is not None,
                **sizes(passes, classes),
            )
    return losses, unscale


def sizes(passes: int, classes: int) -> dict[str, int]:
    """Of what a program works on, and with how many warps.

    A thread has all passes of some classes: sums over passes are its own.
    """
    rows = triton.next_power_of_2(passes)
    block = min(max(triton.next_power_of_2(classes), 16), max(LEAST_BLOCK, ELEMENTS // rows))
    warps = 4 if block < 2048 else 16 if rows == 4 else 8
    return {"PASSES": passes, "ROWS": rows, "CLASSES": classes, "BLOCK": block, "num_warps": warps}


@triton.jit
def _kernel(
    logits,  # (n, PASSES, CLASSES), overwritten
    bias,  # (CLASSES) in fp32
    target,  # (n), negative where the position does not count
    losses,  # (n, 4)
    unscale,  # (n)
    s,
    a,
    on_target,
    eps_i,
    PASSES: tl.constexpr,
    ROWS: tl.constexpr,
    CLASSES: tl.constexpr,
    BLOCK: tl.constexpr,
    HAS_BIAS: tl.constexpr,
    SCALED: tl.constexpr,
):
    position = tl.program_id(0).to(tl.int64)
    passes = tl.arange(0, ROWS)
    real = passes < PASSES
    each = real[:, None] if PASSES < ROWS else tl.full([ROWS, 1], True, tl.int1)
    rows = logits + (position * PASSES + passes[:, None]) * CLASSES
    block = tl.arange(0, BLOCK)[None, :]
    y = tl.load(target + position)

    if y < 0:
        for start in range(0, CLASSES, BLOCK):
            columns = start + block
            zeros = tl.zeros([ROWS, BLOCK], tl.float32).to(logits.dtype.element_ty)
            tl.store(rows + columns, zeros, mask=each & (columns < CLASSES))
        tl.store(losses + position * 4 + tl.arange(0, 4), tl.zeros([4], tl.float32))
        if SCALED:
            tl.store(unscale + position, LEAST_UNSCALE)
    else:
        z_y = tl.load(logits + (position * PASSES + passes) * CLASSES + y, mask=real, other=0.0).to(
            tl.float32
        )
        if HAS_BIAS:
            z_y += tl.load(bias + y)

        # Per pass: the largest logit so far, and sums of exp(z - largest), of that times c, and of z.
        largest = tl.full([ROWS], float("-inf"), tl.float32)
        sum_exp = tl.zeros([ROWS], tl.float32)
        sum_exp_c = tl.zeros([ROWS], tl.float32)
        sum_z = tl.zeros([ROWS], tl.float32)
        largest_exp_c = tl.zeros([ROWS], tl.float32)  # of exp(z - largest) |c|, for the bound of the gradient
        before = tl.zeros([ROWS], tl.int32)  # is there a class before the target with its logit?
        for start in range(0, CLASSES, BLOCK):
            columns = start + block
            inside = columns < CLASSES
            z = _load(rows, bias, columns, each, CLASSES, HAS_BIAS)
            found = tl.maximum(largest, tl.max(tl.where(inside, z, float("-inf")), axis=1))
            shrink = tl.exp(largest - found)
            largest = found
            exp = tl.where(inside, tl.exp(z - largest[:, None]), 0.0)
            sum_exp = sum_exp * shrink + tl.sum(exp, axis=1)
            sum_z += tl.sum(z, axis=1)
            before = tl.maximum(before, tl.max(((z == z_y[:, None]) & (columns < y)).to(tl.int32), axis=1))
            if PASSES > 1:
                exp_c = exp * (z - (tl.sum(z, axis=0) / PASSES)[None, :])
                sum_exp_c = sum_exp_c * shrink + tl.sum(exp_c, axis=1)
                if SCALED:
                    largest_exp_c = tl.maximum(largest_exp_c * shrink, tl.max(tl.abs(exp_c), axis=1))

        expectation = sum_exp_c / sum_exp  # E
        nll = largest + tl.log(sum_exp) - z_y
        ce = on_target * nll + eps_i * (CLASSES * (nll + z_y) - sum_z)
        correct = ((z_y == largest) & (before == 0)).to(tl.float32)
        total_e = tl.sum(tl.where(real, expectation, 0.0), axis=0)
        first = losses + position * 4
        tl.store(first, s * tl.sum(tl.where(real, ce, 0.0), axis=0) + a * total_e)
        tl.store(first + 1, tl.sum(tl.where(real, nll, 0.0), axis=0) / PASSES)
        tl.store(first + 2, total_e / max(PASSES - 1, 1))
        tl.store(first + 3, tl.sum(tl.where(real, correct, 0.0), axis=0))

        scale = 1.0
        if SCALED:
            spread = tl.where(real, largest_exp_c / sum_exp + tl.abs(expectation) + 2.0, 0.0)
            bound = s + a * tl.max(spread, axis=0)
            exponent = ((bound.to(tl.int32, bitcast=True) >> 23) & 255) - 127  # floor(log2 bound)
            exponent = 13 - tl.minimum(tl.maximum(exponent, -100), 100)
            scale = _power_of_2(exponent)
            tl.store(unscale + position, _power_of_2(-exponent))

        # G = p (a c + s + a (1 - E)) - (a mean p + s eps_i) - s on_target onehot(y)
        inverse = 1.0 / sum_exp
        factor = s + a * (1.0 - expectation)
        for start in range(0, CLASSES, BLOCK):
            columns = start + block
            z = _load(rows, bias, columns, each, CLASSES, HAS_BIAS)
            p = tl.exp(z - largest[:, None]) * inverse[:, None]
            if PASSES > 1:
                p = tl.where(each, p, 0.0)
                c = z - (tl.sum(z, axis=0) / PASSES)[None, :]
                shared = (a / PASSES) * tl.sum(p, axis=0) + s * eps_i
                grad = p * (a * c + factor[:, None]) - shared[None, :]
            else:
                grad = s * p - s * eps_i
            grad -= tl.where(columns == y, s * on_target, 0.0)
            grad = (grad * scale).to(logits.dtype.element_ty)
            tl.store(rows + columns, grad, mask=each & (columns < CLASSES))


@triton.jit
def _load(rows, bias, columns, each, CLASSES: tl.constexpr, HAS_BIAS: tl.constexpr):
    """Logits in fp32; 0 beyond the passes and the classes."""
    inside = each & (columns < CLASSES)
    z = tl.load(rows + columns, mask=inside, other=0.0).to(tl.float32)
    if HAS_BIAS:
        z = tl.where(inside, z + tl.load(bias + columns, mask=columns < CLASSES, other=0.0), 0.0)
    return z


@triton.jit
def _power_of_2(exponent):
    """2^exponent in fp32, exactly; -126 <= exponent <= 127."""
    return ((exponent + 127) << 23).to(tl.float32, bitcast=True)
