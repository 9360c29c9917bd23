"""R-Drop losses on plain tensors; nothing here imports fairseq.

Liang et al., "R-Drop: Regularized Dropout for Neural Networks", NeurIPS 2021 (arXiv:2106.14448).

Shapes: V classes, K passes, B the batch, ``...`` any further dimensions (time steps). The K passes are
stacked pass-major along dimension 0, as ``torch.cat([pass_1, ..., pass_K])`` gives them. Logarithms
are natural. Computation is in fp32 at least.

Masked classes have logits, or a bias, of -inf. Masked in every pass, they add nothing to the KL and get
gradient 0. The loss is infinite, as in torch's cross_entropy, where the target is masked, and under label
smoothing beside any masked class, which has to get eps / (V - 1). Masked in some passes only, the KL is.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from . import checks
from .checks import CEReduction, KLReduction, Reduction
from .fused import Options, linear_rdrop_sums
from .terms import RDropLoss, log_softmax, pairwise_kl, rdrop_loss_from_lprobs, reduce, smoothed_nll


def label_smoothed_nll_loss(
    lprobs: Tensor,
    target: Tensor,
    *,
    epsilon: float,
    ignore_index: int = -100,
    reduction: Reduction = "sum",
) -> tuple[Tensor, Tensor]:
    """Label-smoothed cross entropy in fairseq's formula, and the NLL that it smooths.

    The target keeps the mass ``1 - epsilon``, the other V - 1 classes share ``epsilon``::

        eps_i = epsilon / (V - 1)
        loss = (1 - epsilon - eps_i) * nll + eps_i * sum_v(-lprobs_v)

    (The R-Drop authors' code divides by V, as does ``torch.nn.functional.cross_entropy``.)

    Args:
        lprobs: log-probabilities, (..., V).
        target: class indices, (...), int64.
        epsilon: smoothing mass in [0, 1).
        ignore_index: positions with this target count for nothing.
        reduction: over positions: "sum", "mean" (over those that count; NaN where there are none)
            or "none" (0 where ignored).

    Returns:
        (loss, nll_loss): scalars, or (...) for "none". Both carry a gradient.

    Raises:
        ValueError: an argument is out of range or the shapes do not fit.
    """
    checks.check_choice("reduction", reduction, Reduction)
    epsilon = checks.check_epsilon("epsilon", epsilon)
    checks.check_logits("lprobs", lprobs)
    checks.check_target(target, lprobs.size(-1), ignore_index, lprobs.device)
    if lprobs.shape[:-1] != target.shape:
        raise ValueError(
            f"target must have the shape of lprobs without its last dimension, "
            f"got target {tuple(target.shape)} and lprobs {tuple(lprobs.shape)}"
        )
    ignored = target.eq(ignore_index)
    loss, nll_loss = smoothed_nll(lprobs, target.masked_fill(ignored, 0), epsilon)
    return reduce(loss, ignored, reduction), reduce(nll_loss, ignored, reduction)


def compute_kl_loss(
    p: Tensor, q: Tensor, pad_mask: Tensor | None = None, *, reduction: KLReduction = "sum"
) -> Tensor:
    """Symmetric KL divergence of two dropout passes, ``1/2 [KL(p||q) + KL(q||p)]``.

    The same as::

        p, q = p.log_softmax(-1), q.log_softmax(-1)
        (F.kl_div(p, q, log_target=True) + F.kl_div(q, p, log_target=True)) / 2

    Args:
        p, q: logits of the two passes, (..., V). The gradient flows into both.
        pad_mask: bool, (...), True where the position does not count.
        reduction: over positions: "sum", "mean" (over those that count; NaN where there are none),
            "batchmean" (sum / size of dimension 0) or "none" (0 where masked).

    Returns:
        A scalar, or (...) for "none".

    Raises:
        ValueError: an unknown reduction, or shapes that do not fit.
    """
    checks.check_choice("reduction", reduction, KLReduction)
    checks.check_logits("p", p)
    checks.check_logits("q", q)
    checks.check_same("q", q, "p", p)
    if p.shape != q.shape:
        raise ValueError(f"p and q must be logits of one shape, got {tuple(p.shape)} and {tuple(q.shape)}")
    if pad_mask is None:
        pad_mask = torch.zeros(p.shape[:-1], dtype=torch.bool, device=p.device)
    checks.check_pad_mask(pad_mask, p)
    kl = pairwise_kl(torch.stack([log_softmax(p), log_softmax(q)]))
    if reduction == "batchmean":
        return reduce(kl, pad_mask, "sum") / p.size(0)
    return reduce(kl, pad_mask, reduction)


def rdrop_loss(
    logits: Tensor,
    target: Tensor,
    *,
    alpha: float | None = None,
    passes: int = 2,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    ce_reduction: CEReduction = "sum",
    reduction: Reduction = "sum",
) -> RDropLoss:
    """The R-Drop objective (the paper's Eq. 4, here for K passes).

    For K = 2 the same as::

        ce = F.cross_entropy(logits, torch.cat([target, target]), reduction="sum")
        loss = ce + alpha * compute_kl_loss(*logits.chunk(2))

    Args:
        logits: (passes * B, ..., V), pass-major.
        target: class indices, (B, ...), int64.
        alpha: weight of the KL term, in [0, 1e30]. It may be left out with one pass only.
        passes: number of dropout passes K, >= 1. One pass is the label-smoothed cross entropy: its KL is 0,
            and alpha plays no part.
        label_smoothing: epsilon in [0, 1), see :func:`label_smoothed_nll_loss`.
        ignore_index: positions with this target count for nothing.
        ce_reduction: "sum" adds the passes' cross entropies (the paper, the authors' fairseq code),
            "mean" averages them (the snippet in the authors' README): alpha under "sum" is K times
            alpha under "mean".
        reduction: over positions: "sum", "mean" (over those that count; NaN where there are none)
            or "none" (B, ...).

    Raises:
        ValueError: an argument is out of range or the shapes do not fit.
    """
    alpha, passes, label_smoothing = checks.check_rdrop_options(alpha, passes, label_smoothing, ce_reduction)
    checks.check_choice("reduction", reduction, Reduction)
    checks.check_logits("logits", logits)
    checks.check_target(target, logits.size(-1), ignore_index, logits.device)
    checks.check_passes_fit("logits", logits, target, passes)
    return rdrop_loss_from_lprobs(
        log_softmax(logits),
        target,
        alpha=alpha,
        passes=passes,
        label_smoothing=label_smoothing,
        ignore_index=ignore_index,
        ce_reduction=ce_reduction,
        reduction=reduction,
    )


def linear_rdrop_loss(
    hidden: Tensor,
    weight: Tensor,
    target: Tensor,
    *,
    alpha: float | None = None,
    bias: Tensor | None = None,
    passes: int = 2,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    ce_reduction: CEReduction = "sum",
    reduction: Literal["sum", "mean"] = "sum",
    chunk_size: int | None = None,
) -> RDropLoss:
    """:func:`rdrop_loss` of a linear projection, without ever holding all its logits.

    The same as::

        rdrop_loss(F.linear(hidden, weight, bias), target, ...)

    in one forward that also computes the gradient (derivation in ``fused.py``); under autocast in the
    autocast dtype, as ``F.linear`` would be. Not differentiable twice.

    Args:
        hidden: (passes * B, ..., D), pass-major.
        weight: (V, D). bias: (V) or None.
        chunk_size: positions to project at a time; None chooses.
        The others: see :func:`rdrop_loss`. There is no reduction "none".

    Raises:
        ValueError: an argument is out of range or the shapes do not fit.
    """
    alpha, passes, label_smoothing = checks.check_rdrop_options(alpha, passes, label_smoothing, ce_reduction)
    checks.check_choice("reduction", reduction, Literal["sum", "mean"])
    chunk_size = checks.check_chunk_size(chunk_size)
    checks.check_floating("hidden", hidden)
    checks.check_linear(hidden, weight, bias)
    checks.check_target(target, weight.size(0), ignore_index, hidden.device)
    checks.check_passes_fit("hidden", hidden, target, passes)
    options = Options(
        alpha=alpha,
        passes=passes,
        label_smoothing=label_smoothing,
        ignore_index=ignore_index,
        ce_scale=1.0 if ce_reduction == "sum" else 1.0 / passes,
        chunk_size=chunk_size,
    )
    sums = linear_rdrop_sums(hidden, weight, bias, target, options)
    if reduction == "mean":
        sums = sums / target.ne(ignore_index).sum()
    return RDropLoss(sums[0], sums[1].detach(), sums[2].detach())
