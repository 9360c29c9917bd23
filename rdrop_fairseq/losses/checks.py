"""Checks of the losses' arguments. Each raises a ValueError that names the argument and its value."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from numbers import Real
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from .compatibility import autocast_dtype
from .device import device_of

Reduction = Literal["sum", "mean", "none"]
KLReduction = Literal["sum", "mean", "batchmean", "none"]
CEReduction = Literal["sum", "mean"]


# alpha times a sum of KLs has to stay finite in fp32, whose largest number is 3.4e38.
MAX_ALPHA = 1e30
FLOATING = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def check_choice(name: str, value: object, choices: Any) -> None:
    """``choices`` is a ``Literal``."""
    if not isinstance(value, str) or value not in get_args(choices):
        names = ", ".join(map(repr, get_args(choices)))
        raise ValueError(f"{name} must be one of {names}, got {_shown(value)}")


def check_integer(name: str, value: Any, low: int, high: int = 2**63 - 1, or_none: str = "") -> int:
    """Check for what ``operator.index`` takes, numpy's integers too, but no boolean and no tensor."""
    try:
        number = None if isinstance(value, (bool, Tensor)) else operator.index(value)
    except TypeError:
        number = None
    if number is None or not low <= number <= high:
        bounds = "" if low == -(2**63) else f" >= {low}"
        raise ValueError(f"{name} must be an integer{bounds}{or_none}, got {_shown(value)}")
    return number


def check_real(name: str, value: Any, wanted: str, inside: Callable[[float], bool]) -> float:
    """A number of Python or numpy; no tensor, whose gradient would be lost."""
    try:
        number = float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    except OverflowError:  # an integer or a fraction
        number = math.nan
    if not inside(number):  # as nothing is of nan
        raise ValueError(f"{name} must be {wanted}, got {_shown(value)}")
    return number


def check_epsilon(name: str, value: Any) -> float:
    return check_real(name, value, "in [0, 1)", lambda x: 0 <= x < 1)


def check_alpha(name: str, value: Any) -> float:
    check_real(name, value, "a finite number >= 0", lambda x: 0 <= x < math.inf)
    return check_real(name, value, f"at most {MAX_ALPHA:g}", lambda x: x <= MAX_ALPHA)


def check_rdrop_options(
    alpha: Any, passes: Any, label_smoothing: Any, ce_reduction: Any
) -> tuple[float, int, float]:
    """The options that every R-Drop loss shares; returns the numbers as Python's own.

    Without a KL, which one pass has not, alpha may be None.
    """
    check_choice("ce_reduction", ce_reduction, CEReduction)
    passes = check_integer("passes", passes, 1)
    if alpha is None and passes == 1:
        alpha = 0.0
    return check_alpha("alpha", alpha), passes, check_epsilon("label_smoothing", label_smoothing)


def check_chunk_size(value: Any) -> int | None:
    return None if value is None else check_integer("chunk_size", value, 1, or_none=" or None")


def check_non_negative(name: str, value: int) -> None:
    if value < 0:
        raise ValueError(f"{name} must be >= 0, got {value}")


def check_logits(name: str, value: Any) -> None:
    """A floating-point tensor (..., V) with V >= 1."""
    check_floating(name, value)
    if value.dim() == 0 or value.size(-1) == 0:
        raise ValueError(f"{name} must have a last dimension of 1 or more classes, got {tuple(value.shape)}")


def check_floating(name: str, value: Any) -> None:
    if not isinstance(value, Tensor) or value.dtype not in FLOATING:
        names = ", ".join(str(dtype).replace("torch.", "") for dtype in FLOATING)
        raise ValueError(f"{name} must be a tensor of {names}, got {_shown(value)}")


def check_pad_mask(pad_mask: Any, logits: Tensor) -> None:
    shape = logits.shape[:-1]
    bool_tensor = isinstance(pad_mask, Tensor) and pad_mask.dtype == torch.bool
    if not bool_tensor or pad_mask.shape != shape or pad_mask.device != logits.device:
        raise ValueError(
            f"pad_mask must be bool with the shape of p without its last dimension, "
            f"{tuple(shape)}, on {logits.device}, got {_shown(pad_mask)}"
        )


def check_passes_fit(name: str, stacked: Tensor, target: Tensor, passes: int) -> None:
    """``stacked`` is (passes * B, ..., X), ``target`` (B, ...)."""
    if target.dim() == 0 or stacked.shape[:-1] != (passes * target.size(0), *target.shape[1:]):
        raise ValueError(
            f"{name} must have shape (passes * B, ..., :) with passes = {passes} and target of "
            f"shape (B, ...), got {name} {tuple(stacked.shape)} and target {tuple(target.shape)}"
        )


def check_linear(hidden: Tensor, weight: Any, bias: Any) -> None:
    """``hidden`` is (..., D), ``weight`` (V, D), ``bias`` (V); under autocast the dtypes may differ."""
    check_floating("weight", weight)
    if weight.dim() != 2 or weight.size(0) == 0 or hidden.shape[-1:] != weight.shape[1:]:
        raise ValueError(
            f"weight must be (V, D) with 1 or more classes V and the D of hidden, "
            f"got weight {tuple(weight.shape)} and hidden {tuple(hidden.shape)}"
        )
    if bias is not None:
        check_floating("bias", bias)
        if bias.shape != weight.shape[:1]:
            raise ValueError(
                f"bias must be (V) with the V of weight, "
                f"got bias {tuple(bias.shape)} and weight {tuple(weight.shape)}"
            )
    for name, value in (("weight", weight), ("bias", bias)):
        if value is not None:
            check_same(name, value, "hidden", hidden)


def check_same(name: str, value: Tensor, other_name: str, other: Tensor) -> None:
    """Check that two tensors have one device and one dtype; autocast, where it is on, sees to the dtypes."""
    same = value.device == other.device and value.dtype == other.dtype
    if not same and (value.device != other.device or autocast_dtype(other.device.type) is None):
        raise ValueError(
            f"{name} must have the device and dtype of {other_name}, "
            f"got {name} {_shown(value)} and {other_name} {_shown(other)}"
        )


def check_target(target: Any, num_classes: int, ignore_index: Any, device: torch.device) -> None:
    """Class indices in range; where the host may not look, an assert of the device."""
    check_integer("ignore_index", ignore_index, -(2**63))
    if not isinstance(target, Tensor) or target.dtype != torch.long or target.device != device:
        raise ValueError(f"target must be int64 class indices on {device}, got {_shown(target)}")
    in_range = (target.ge(0) & target.lt(num_classes)) | target.eq(ignore_index)
    if not device_of(target).host_reads:
        torch._assert_async(in_range.all())
    elif not in_range.all():
        raise ValueError(
            f"target must be in [0, {num_classes}) or ignore_index = {ignore_index}, "
            f"got {target[~in_range][0].item()}"
        )


def _shown(value: Any) -> str:
    """One line; of a tensor dtype, shape and device, as its values may lie on an accelerator."""
    if isinstance(value, Tensor):
        return f"a tensor of {value.dtype}, shape {tuple(value.shape)}, on {value.device}"
    shown = " ".join((str(value) if isinstance(value, Real) else repr(value)).split())
    return shown if len(shown) <= 80 else f"{shown[:80]}..."
