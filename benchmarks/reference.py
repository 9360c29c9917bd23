"""The formulas, written as they are read. Oracles of the tests and baselines of the benchmarks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def rdrop(
    logits: Tensor,
    target: Tensor,
    *,
    alpha: float,
    passes: int,
    label_smoothing: float = 0.0,
    ignore_index: int = -100,
    ce_reduction: str = "sum",
) -> tuple[Tensor, Tensor, Tensor]:
    """(objective, mean nll, kl), sums over positions: a loop over passes, a double loop over pairs.

    One pass has no pairs, and no KL.
    """
    num_classes = logits.size(-1)
    lprobs = [part.log_softmax(-1).flatten(0, -2) for part in logits.chunk(passes)]
    target = target.flatten()
    keep = target != ignore_index
    lprobs = [part[keep] for part in lprobs]
    target = target[keep]

    eps_i = label_smoothing / (num_classes - 1)
    ce, nll = [], []
    for part in lprobs:
        part_nll = -part[torch.arange(len(target)), target].sum()
        ce.append((1 - label_smoothing - eps_i) * part_nll - eps_i * part.sum())
        nll.append(part_nll)
    kls = [(p.exp() * (p - q)).sum() for i, p in enumerate(lprobs) for j, q in enumerate(lprobs) if i != j]
    kl = sum(kls, torch.zeros_like(nll[0])) / max(passes * (passes - 1), 1)
    total = torch.stack(ce).sum() / (passes if ce_reduction == "mean" else 1)
    return total + alpha * kl, torch.stack(nll).mean(), kl


def authors_rdrop(
    logits: Tensor, target: Tensor, *, alpha: float, label_smoothing: float, ignore_index: int
) -> Tensor:
    """What the R-Drop authors' fairseq code computes for two passes: every tensor at full size, fp32."""
    target = torch.cat([target, target]).flatten().unsqueeze(-1)
    pad_mask = target.eq(ignore_index)
    target = target.masked_fill(pad_mask, 0)
    lprobs = F.log_softmax(logits.flatten(0, -2), dim=-1, dtype=torch.float32)
    nll = -lprobs.gather(-1, target).masked_fill(pad_mask, 0.0)
    smooth = -lprobs.sum(-1, keepdim=True).masked_fill(pad_mask, 0.0)
    ce = (1 - label_smoothing) * nll.sum() + label_smoothing / lprobs.size(-1) * smooth.sum()
    p, q = lprobs.chunk(2)
    p_probs, q_probs = F.softmax(logits.flatten(0, -2), dim=-1, dtype=torch.float32).chunk(2)
    half_mask = pad_mask.chunk(2)[0]
    p_loss = F.kl_div(p, q_probs, reduction="none").masked_fill(half_mask, 0.0).sum()
    q_loss = F.kl_div(q, p_probs, reduction="none").masked_fill(half_mask, 0.0).sum()
    return ce + alpha * (p_loss + q_loss) / 2
