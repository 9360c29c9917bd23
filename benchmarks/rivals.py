"""Other projects' cross entropies fused with the output projection, as far as they are installed.

None has R-Drop: the KL divergences of Liger-Kernel are for distillation, and give their target no gradient.
"""

import importlib
import sys
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]  # of hidden (N, D), weight (V, D), target (N), summed


def _torch(label_smoothing: float, ignore_index: int) -> Loss:
    """In torch 2.13 and newer. In chunks it knows no label smoothing."""
    if label_smoothing:
        raise ImportError("no label smoothing")
    if not hasattr(F, "linear_cross_entropy"):
        raise ImportError(f"torch {torch.__version__} has none")
    options = torch.nn.LinearCrossEntropyOptions()
    return lambda hidden, weight, target: F.linear_cross_entropy(
        hidden, weight, target, reduction="sum", ignore_index=ignore_index, options=options
    )


def _liger(label_smoothing: float, ignore_index: int) -> Loss:
    """Liger-Kernel's loss.

    Its label smoothing is torch's, which gives the target a share too: other numbers at the same price.
    """
    module = importlib.import_module("liger_kernel.transformers")
    loss = module.LigerFusedLinearCrossEntropyLoss(
        ignore_index=ignore_index, label_smoothing=label_smoothing, reduction="sum"
    )
    return lambda hidden, weight, target: loss(weight, hidden, target)


def _apple(label_smoothing: float, ignore_index: int) -> Loss:
    if label_smoothing:
        raise ImportError("no label smoothing")
    module = importlib.import_module("cut_cross_entropy")
    return lambda hidden, weight, target: module.linear_cross_entropy(
        hidden, weight, target, ignore_index=ignore_index, reduction="sum"
    )


RIVALS = {"torch linear_cross_entropy": _torch, "Liger-Kernel": _liger, "apple cut_cross_entropy": _apple}


def rivals(
    hidden: Tensor, weight: Tensor, target: Tensor, label_smoothing: float, ignore_index: int
) -> dict[str, Loss]:
    """Those that are installed and take these tensors, forward and backward; names the others on stderr."""
    found: dict[str, Loss] = {}
    for name, make in RIVALS.items():
        try:
            loss = make(label_smoothing, ignore_index)
            torch.autograd.grad(loss(hidden, weight, target), (hidden, weight))
        except Exception as error:  # whatever somebody else's kernel may raise
            print(f"left out: {name}: {' '.join(str(error).split())[:200]}", file=sys.stderr)
        else:
            found[name] = loss
    return found
