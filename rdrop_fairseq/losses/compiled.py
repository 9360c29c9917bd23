"""The elementwise part of the fused loss under torch.compile: the formulas of fused.py as they are read.

A compiler makes few passes over the logits of them, which fused.losses_and_grad_ does by hand.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from .compatibility import can_compile


def losses_and_grad(
    logits: Tensor,
    target: Tensor,
    target_logits: Tensor,
    alpha: Tensor,
    ce_scale: Tensor,
    label_smoothing: float,
) -> Tensor:
    """What fused.losses_and_grad_ does, compiled once for all values of alpha and ce_scale.

    They are tensors (): floats would be compiled for one value, for another, and then, by torch 2.13, for all
    others to a wrong gradient. target_logits is (n, K): a gather in here, compiled by torch 2.4, would find
    the gradient in the place of the logits.
    """
    passes, num_classes = logits.shape[1:]
    eps_i = label_smoothing / max(num_classes - 1, 1)
    on_target = 1.0 - label_smoothing - eps_i
    classes = torch.arange(num_classes, device=logits.device)
    onehot = (classes == target.view(-1, 1, 1)).to(logits.dtype)  # (n, 1, V)

    lse = logits.logsumexp(-1, keepdim=True)  # (n, K, 1)
    probs = (logits - lse).exp()
    nll = lse.squeeze(-1) - target_logits
    correct = target_logits.eq(logits.amax(-1)).sum(1).to(nll.dtype)
    ce = (on_target * nll + eps_i * (num_classes * lse.squeeze(-1) - logits.sum(-1))).sum(1)
    objective = ce_scale * ce
    grad = ce_scale * (probs - eps_i - on_target * onehot)
    if passes == 1:
        kl = torch.zeros_like(objective)
    else:
        centred = logits - logits.mean(1, keepdim=True)
        expectation = (probs * centred).sum(-1, keepdim=True)  # E_k
        kl = expectation.sum((1, 2)) / (passes - 1)
        objective = objective + alpha * kl
        of_kl = probs * (centred + 1 - expectation) - probs.mean(1, keepdim=True)
        grad = grad + alpha / (passes - 1) * of_kl
    logits.copy_(grad)
    return torch.stack([objective, nll.mean(1), kl, correct], dim=1)


@lru_cache(maxsize=None)
def _compiled() -> Any:
    return torch.compile(losses_and_grad)


_failed = False


def _fail(reason: object) -> None:
    global _failed
    _failed = True
    message = " ".join(str(reason).split())[:200]
    warnings.warn(f"torch.compile failed, the loss goes on without it: {message}", stacklevel=3)


def compiled_losses_and_grad_(
    logits: Tensor, target: Tensor, alpha: float, ce_scale: float, label_smoothing: float
) -> Tensor | None:
    """What fused.losses_and_grad_ does; None, with nothing done and one warning, where compiling has failed.

    The classes are static, the positions dynamic: a batch of another size compiles nothing anew.
    """
    if _failed:
        return None
    if not can_compile():
        _fail("it needs torch 2.4 or newer")
        return None
    from torch._dynamo import exc, maybe_mark_dynamic  # takes a second, which only this use of it has to pay

    # Filled on the device: a copy from the host would make it wait.
    scalars = [torch.full((), value, dtype=logits.dtype, device=logits.device) for value in (alpha, ce_scale)]
    target_logits = logits.gather(-1, target.view(-1, 1, 1).expand(-1, logits.size(1), 1)).squeeze(-1)
    for tensor in (logits, target, target_logits):
        maybe_mark_dynamic(tensor, 0)
    try:
        losses: Tensor = _compiled()(logits, target, target_logits, *scalars, label_smoothing)
    except exc.TorchDynamoException as error:
        _fail(error)
        return None
    return losses
