"""The elementwise part of the fused loss: by the kernel where that serves, else by torch."""

from __future__ import annotations

import importlib.util
import warnings
from typing import Any

import torch
from torch import Tensor

from .device import device_of
from .precision import scale_of
from .terms import Weights

TRIAL_POSITIONS = 8
_served: dict[
    Any, bool
] = {}  # by device, dtype, passes, classes, bias: whether the kernel has passed its trial


def losses_and_grad_(
    logits: Tensor, bias: Tensor | None, target: Tensor, weights: Weights
) -> tuple[Tensor, Tensor | None]:
    """Puts the gradient of the objective, G of fused.py, in the place of the logits.

    Args:
        logits: (n, K, V), contiguous, in the dtype of the products; without the bias.
        bias: (V), in fp32 at least, of numbers that are all finite.
        target: (n), in [0, V), or negative where the position does not count: all of it is 0 then.

    Returns:
        (n, 4), objective, NLL, KL and correct predictions of each position, and for fp16 (n), the powers of
        two by which the gradients are to be multiplied.
    """
    if device_of(logits).kernel and _kernel_serves(logits, bias, target, weights):
        from . import kernel

        return kernel.losses_and_grad_(logits, bias, target, weights)
    return by_torch_(logits, bias, target, weights)


def has_kernel(tensor: Tensor) -> bool:
    """Whether the kernel is tried on this device. Where it fails, a warning says so."""
    return device_of(tensor).kernel and importlib.util.find_spec("triton") is not None


def _kernel_serves(*problem: Any) -> bool:
    """Whether the kernel is there for this device and shape, compiles, and agrees with torch.

    The first time for each it is tried on a few positions of the batch. The host waits for that.
    """
    logits, bias = problem[:2]
    key = logits.device, logits.dtype, *logits.shape[1:], bias is None
    if key not in _served:
        _served[key] = has_kernel(logits) and _trial(*problem)
    return _served[key]


def _trial(logits: Tensor, bias: Tensor | None, target: Tensor, weights: Weights) -> bool:
    try:
        from . import kernel

        if logits.dtype not in kernel.DTYPES or logits.size(1) > kernel.MAX_PASSES:
            return False
        if logits.is_meta:
            return True
        target = target[:TRIAL_POSITIONS].clamp(min=0)
        few = logits[:TRIAL_POSITIONS].nan_to_num(0.0, 0.0, 0.0)  # an overflow is nobody's fault
        results = []
        for losses_and_grad in (by_torch_, kernel.losses_and_grad_):
            grad = few.clone()
            losses, unscale = losses_and_grad(grad, bias, target, weights)
            grad = grad.float()
            results.append((losses, grad if unscale is None else grad * unscale.view(-1, 1, 1)))
        (losses, grad), (its_losses, its_grad) = results
        # Both round G once; exp and log of a GPU err in the seventh digit.
        atol = 1e-5 * float(grad.abs().max())
        torch.testing.assert_close(its_grad, grad, rtol=2 * torch.finfo(logits.dtype).eps, atol=atol)
        torch.testing.assert_close(its_losses, losses, rtol=1e-4, atol=1e-4 * max(1.0, weights.a))
    except Exception as error:  # whatever a compiler, a driver or a comparison may raise
        shape = f"{logits.size(1)} x {logits.size(2)} logits of {logits.dtype} on {logits.device}"
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        warnings.warn(
            f"the kernel of the fused loss fails for {shape}, torch does its work: {reason}", stacklevel=2
        )
        return False
    return True


def by_torch_(
    logits: Tensor, bias: Tensor | None, target: Tensor, weights: Weights
) -> tuple[Tensor, Tensor | None]:
    """:func:`losses_and_grad_` by torch's operators, in blocks of positions that stay in a CPU's cache."""
    device, compute = device_of(logits), torch.promote_types(logits.dtype, torch.float32)
    block_size = max(1, device.block_bytes // (logits[:1].numel() * torch.finfo(compute).bits // 8))
    probs = torch.empty_like(logits[:block_size], dtype=compute)
    losses, unscales = logits.new_empty((len(logits), 4), dtype=compute), []
    for first in range(0, len(logits), block_size):
        part = slice(first, first + block_size)
        block, its_target = logits[part].to(compute), target[part]
        if bias is not None:
            block += bias
        losses[part] = _in_compute_dtype_(block, probs[: len(block)], its_target.clamp(min=0), weights)
        if not device.host_reads:  # else there are none that do not count
            ignored = its_target.lt(0)
            losses[part].masked_fill_(ignored.unsqueeze(1), 0.0)
            block.masked_fill_(ignored.view(-1, 1, 1), 0.0)
        if logits.dtype == torch.float16:
            scale, unscale = scale_of(torch.linalg.vector_norm(block, torch.inf, (1, 2)))
            block *= scale.view(-1, 1, 1)
            unscales.append(unscale)
        if logits.dtype != compute:
            logits[part] = block
    return losses, torch.cat(unscales) if unscales else None


def _in_compute_dtype_(logits: Tensor, probs: Tensor, target: Tensor, weights: Weights) -> Tensor:
    """The losses (n, 4); ``probs`` is scratch of the shape of the logits."""
    passes, num_classes = logits.shape[1:]
    s, a, on_target, eps_i = weights
    target = target.view(-1, 1, 1).expand(-1, passes, 1)

    torch.softmax(logits, -1, out=probs)
    target_logits = logits.gather(-1, target)
    largest, correct = _largest_and_hits(logits, target, target_logits)
    lse = largest - probs.amax(-1).log()  # exact where the largest term is; no second exp
    target_logits = target_logits.squeeze(-1)
    nll = lse - target_logits

    mean = logits if passes == 1 else _sum_over_passes(logits).div_(passes)
    ce = on_target * nll.sum(1)
    if eps_i > 0:
        ce += eps_i * (num_classes * lse.sum(1) - passes * mean.sum((1, 2)))
    objective = s * ce

    if passes == 1:
        kl = torch.zeros_like(objective)
        torch.add(logits.new_full((), -s * eps_i), probs, alpha=s, out=logits)
    else:
        logits -= mean
        expectation = torch.linalg.vecdot(probs, logits)  # E_k
        kl = expectation.sum(1) / (passes - 1)
        objective += a * expectation.sum(1)
        torch.add((s + a * (1 - expectation)).unsqueeze(-1), logits, alpha=a, out=logits)
        torch.addcmul(logits.new_full((), -s * eps_i), logits, probs, out=logits)
        logits.sub_(_sum_over_passes(probs), alpha=a / passes)
    logits.scatter_add_(-1, target, torch.full_like(nll, -s * on_target).unsqueeze(-1))

    return torch.stack([objective, nll.mean(1), kl, correct.sum(1).to(nll.dtype)], dim=1)


def _largest_and_hits(logits: Tensor, target: Tensor, target_logits: Tensor) -> tuple[Tensor, Tensor]:
    """The largest logit, and whether argmax, the first of the largest, is the target; both (n, K).

    On a CPU argmax takes three times as long as softmax, so the largest of the other classes is asked first.
    """
    if not device_of(logits).host_reads:
        largest, index = logits.max(-1)
        return largest, index.eq(target.squeeze(-1))
    others = logits.scatter_(-1, target, -torch.inf).amax(-1)
    logits.scatter_(-1, target, target_logits)
    target_logits, target = target_logits.squeeze(-1), target.squeeze(-1)
    hits = target_logits.gt(others)
    ties = target_logits.eq(others)
    if ties.any():
        hits[ties] = logits[ties].argmax(-1).eq(target[ties])
    return torch.maximum(target_logits, others), hits


def _sum_over_passes(x: Tensor) -> Tensor:
    """(n, K, V) to (n, 1, V); ``x.sum(1)`` is slow in torch."""
    first, second, *others = x.split(1, dim=1)
    total: Tensor = first + second
    for other in others:
        total += other
    return total
