"""Other projects' cross entropies fused with the output projection, as far as they are installed.

None has R-Drop: the KL divergences of Liger-Kernel are for distillation, and give their target no gradient.
"""

import importlib
import sys
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]  # of hidden (N, D), weight (V, D), target (N), summed


def _liger(label_smoothing: float) -> Loss:
    """Its label smoothing is torch's, which gives the target a share too: other numbers at the same price."""
    module = importlib.import_module("liger_kernel.transformers")
    loss = module.LigerFusedLinearCrossEntropyLoss(label_smoothing=label_smoothing, reduction="sum")
    return lambda hidden, weight, target: loss(weight, hidden, target)


def _apple() -> Loss:
    module = importlib.import_module("cut_cross_entropy")
    return partial(module.linear_cross_entropy, reduction="sum")


def _torch() -> Loss:
    """In torch 2.13 and newer."""
    return partial(F.linear_cross_entropy, reduction="sum", options=torch.nn.LinearCrossEntropyOptions())


def rivals(hidden: Tensor, weight: Tensor, target: Tensor, label_smoothing: float) -> dict[str, Loss]:
    """Those that are installed and take these tensors, forward and backward; names the others on stderr."""
    makers: dict[str, Callable[[], Loss]] = {"Liger-Kernel": partial(_liger, label_smoothing)}
    if not label_smoothing:  # the others have none, torch's not in chunks
        makers |= {"apple cut_cross_entropy": _apple, "torch linear_cross_entropy": _torch}
    found: dict[str, Loss] = {}
    for name, make in makers.items():
        try:
            loss = make()
            torch.autograd.grad(loss(hidden, weight, target), (hidden, weight))
        except Exception as error:  # whatever somebody else's kernel may raise
            print(f"left out: {name}: {' '.join(str(error).split())[:200]}", file=sys.stderr)
        else:
            found[name] = loss
    return found
