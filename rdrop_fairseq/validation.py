"""Checks of the losses' arguments. Each raises a ValueError that names the argument and its value."""

import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor

Reduction = Literal["sum", "mean", "none"]
KLReduction = Literal["sum", "mean", "batchmean", "none"]
CEReduction = Literal["sum", "mean"]


def check_choice(name: str, value: object, choices: Any) -> None:
    """``choices`` is a ``Literal``."""
    if value not in get_args(choices):
        names = ", ".join(map(repr, get_args(choices)))
        raise ValueError(f"{name} must be one of {names}, got {value!r}")


def check_epsilon(name: str, value: float) -> None:
    if not 0.0 <= value < 1.0:
        raise ValueError(f"{name} must be in [0, 1), got {value}")


def check_rdrop_options(alpha: float, passes: int, label_smoothing: float, ce_reduction: str) -> None:
    """The options that every R-Drop loss and the criterion share."""
    if not (math.isfinite(alpha) and alpha >= 0):
        raise ValueError(f"alpha must be a finite number >= 0, got {alpha}")
    if isinstance(passes, bool) or not isinstance(passes, int) or passes < 1:
        raise ValueError(f"passes must be an integer >= 1, got {passes}")
    check_epsilon("label_smoothing", label_smoothing)
    check_choice("ce_reduction", ce_reduction, CEReduction)


def check_non_negative(name: str, value: int) -> None:
    if value < 0:
        raise ValueError(f"{name} must be >= 0, got {value}")


def check_dropout_rates(name: str, rates: Sequence[float], passes: int, forward: str) -> None:
    """A rate for each pass, which ``forward`` "separate" alone can give it, or none."""
    if not rates:
        return
    if len(rates) != passes:
        raise ValueError(f"{name} must have one rate per pass ({passes}), got {', '.join(map(str, rates))}")
    if not all(0.0 <= rate < 1.0 for rate in rates):
        raise ValueError(f"{name} must have rates in [0, 1), got {', '.join(map(str, rates))}")
    if forward != "separate":
        raise ValueError(f"{name} needs --rdrop-forward separate: one forward has one rate")


def check_passes_fit(name: str, stacked: Tensor, target: Tensor, passes: int) -> None:
    """``stacked`` is (passes * B, ..., X), ``target`` (B, ...)."""
    if target.dim() == 0 or stacked.shape[:-1] != (passes * target.size(0), *target.shape[1:]):
        raise ValueError(
            f"{name} must have shape (passes * B, ..., :) with passes = {passes} and target of "
            f"shape (B, ...), got {name} {tuple(stacked.shape)} and target {tuple(target.shape)}"
        )


def check_linear(hidden: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    """``hidden`` is (..., D), ``weight`` (V, D), ``bias`` (V)."""
    if weight.dim() != 2 or hidden.size(-1) != weight.size(1):
        raise ValueError(
            f"weight must be (V, D) with the D of hidden, "
            f"got weight {tuple(weight.shape)} and hidden {tuple(hidden.shape)}"
        )
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(
            f"bias must be (V) with the V of weight, "
            f"got bias {tuple(bias.shape)} and weight {tuple(weight.shape)}"
        )


def check_target(target: Tensor, num_classes: int, ignore_index: int) -> None:
    """Class indices in range; on an accelerator a device-side assert, which costs no synchronisation."""
    if target.dtype != torch.long:
        raise ValueError(f"target must be int64 class indices, got {target.dtype}")
    in_range = (target.ge(0) & target.lt(num_classes)) | target.eq(ignore_index)
    if target.device.type != "cpu":
        torch._assert_async(in_range.all())
    elif not in_range.all():
        raise ValueError(
            f"target must be in [0, {num_classes}) or ignore_index = {ignore_index}, "
            f"got {target[~in_range][0].item()}"
        )
