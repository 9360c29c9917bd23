"""The objective and its terms per position, from log-probabilities, and their reduction over positions."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from .checks import CEReduction, Reduction
from .device import device_of

UNREACHABLE = -1e30  # a logit without probability whose sums over classes and passes stay finite in fp32


class RDropLoss(NamedTuple):
    """What the R-Drop losses return.

    loss: the objective; the only member that carries a gradient
    nll_loss: negative log-likelihood of the target, without label smoothing, mean over the passes
    kl_loss: KL divergence, mean over the ordered pairs of passes, not multiplied by alpha
    """

    loss: Tensor
    nll_loss: Tensor
    kl_loss: Tensor


class Weights(NamedTuple):
    """Of the terms of the fused objective: s, a, 1 - eps - eps_i and eps_i of the docstring of fused.py."""

    s: float
    a: float
    on_target: float
    eps_i: float


def rdrop_loss_from_lprobs(
    lprobs: Tensor,
    target: Tensor,
    *,
    alpha: float,
    passes: int,
    label_smoothing: float,
    ignore_index: int,
    ce_reduction: CEReduction,
    reduction: Reduction = "sum",
) -> RDropLoss:
    """:func:`functional.rdrop_loss` of log-probabilities, which some models make themselves. Unchecked."""
    ignored = target.eq(ignore_index)
    lprobs = lprobs.unflatten(0, (passes, -1))  # (K * B, ..., V) -> (K, B, ..., V)
    safe_target = target.masked_fill(ignored, 0).expand(lprobs.shape[:-1])
    ce, nll = smoothed_nll(lprobs, safe_target, label_smoothing)
    loss = ce.sum(0) if ce_reduction == "sum" else ce.mean(0)
    if passes == 1:
        kl = torch.zeros_like(loss)
    else:
        kl = pairwise_kl(lprobs)
        loss = loss + alpha * kl if alpha > 0 else loss  # 0 times an infinite KL would be NaN
    return RDropLoss(
        loss=reduce(loss, ignored, reduction),
        nll_loss=reduce(nll.detach().mean(0), ignored, reduction),
        kl_loss=reduce(kl.detach(), ignored, reduction),
    )


def log_softmax(logits: Tensor) -> Tensor:
    """In fp32 at least: KL is a small difference of large numbers."""
    dtype = torch.promote_types(logits.dtype, torch.float32)
    return torch.log_softmax(logits, dim=-1, dtype=dtype)


def smoothed_nll(lprobs: Tensor, target: Tensor, epsilon: float) -> tuple[Tensor, Tensor]:
    """Label-smoothed cross entropy and NLL, (..., V) and (...) to two (...)."""
    nll = -lprobs.gather(-1, target.unsqueeze(-1)).squeeze(-1)
    if epsilon == 0.0:
        return nll, nll
    eps_i = epsilon / max(lprobs.size(-1) - 1, 1)
    return (1.0 - epsilon - eps_i) * nll - eps_i * lprobs.sum(-1), nll


def pairwise_kl(lprobs: Tensor) -> Tensor:
    """Mean of KL(p_i || p_j) over the ordered pairs i != j of K passes, (K, ..., V) to (...).

    In O(K): with the means p and l over the passes,
    sum_{i,j} sum_v p_i (l_i - l_j) = K sum_i sum_v (p_i - p) (l_i - l).
    Centring both factors keeps a small divergence accurate and that of equal passes zero. A class without
    probability in any pass adds nothing, though its l be -inf; where only some passes mask it, KL is inf.
    """
    probs = lprobs.exp()
    # Adding the negative mean, autograd needs no negative of the whole tensor's gradient.
    minus_p, minus_l = probs.mean(0).neg_(), lprobs.mean(0).neg_()
    spread = lprobs + minus_l
    # The sum is inf or NaN beside any class that a pass masks.
    to_mask = not device_of(lprobs).host_reads or not bool(minus_l.sum() < torch.inf)
    if to_mask:
        masked = minus_l.isposinf()
        with torch.no_grad():  # the gradient is zero there: that of spread is p_i - p, that of p_i is spread
            spread.masked_fill_(masked, 0.0)
    kl = ((probs + minus_p) * spread).sum((0, -1)) / (lprobs.size(0) - 1)
    if to_mask:
        kl = kl.masked_fill((masked & minus_p.ne(0)).any(-1), torch.inf)
    return kl


def reduce(per_position: Tensor, ignored: Tensor, reduction: str) -> Tensor:
    """ "sum", "mean" or "none" over the positions that are not ignored."""
    per_position = per_position.masked_fill(ignored, 0.0)
    if reduction == "none":
        return per_position
    total = per_position.sum()
    return total / ignored.logical_not().sum() if reduction == "mean" else total


def masked_losses(bias: Tensor, label_smoothing: float) -> Tensor:
    """(V, 4): inf in the objective and the NLL of a masked target; in every objective if it is smoothed."""
    masked = bias < UNREACHABLE
    infinite = masked | masked.any() if label_smoothing > 0 else masked
    losses = torch.stack([infinite, masked, torch.zeros_like(masked), torch.zeros_like(masked)], dim=1)
    return torch.zeros_like(losses, dtype=torch.float32).masked_fill(losses, torch.inf)
