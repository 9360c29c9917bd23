"""The losses against the formulas of benchmarks/reference.py in float64, on drawn problems."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from devices import IS_OLDEST
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from benchmarks import reference
from rdrop_fairseq import linear_rdrop_loss, rdrop_loss
from rdrop_fairseq.losses.device import DEVICES

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
# What the fixtures set is the same in all examples, or set anew.
PROPERTY = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def numbers(high):
    """From 0, without subnormal numbers: what an old torch has compiled takes them away from the process."""
    return st.sampled_from([0.0, 0.1]) | st.floats(0, high, allow_subnormal=False)


class Problem(NamedTuple):
    """Arguments of linear_rdrop_loss; masked: the classes that the bias, or the logits, exclude."""

    hidden: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor | None
    target: torch.Tensor
    masked: list[int]
    reduction: str
    options: dict[str, Any]


@st.composite
def problems(draw):
    """Problems on the CPU in float64. A masked class is no target, but it may be the one that is ignored."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**32)))
    passes, classes, dim = (draw(st.integers(*bounds)) for bounds in ((1, 8), (3, 101), (1, 32)))
    batch, *steps = draw(st.lists(st.integers(0, 5), min_size=1, max_size=3))
    ignore_index = draw(st.sampled_from([-100, 1]))
    masked = sorted(draw(st.sets(st.integers(0, classes - 1), max_size=classes - 2)))
    targets = torch.tensor([c for c in range(classes) if c not in masked and c != ignore_index])
    target = targets[torch.randint(len(targets), (batch, *steps), generator=generator)]
    ignored = torch.rand(target.shape, generator=generator) < draw(st.sampled_from([0.0, 0.3, 1.0]))
    target[ignored] = ignore_index
    shapes = (passes * batch, *steps, dim), (classes, dim), (classes,)
    hidden, weight, bias = (torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes)
    bias[masked] = draw(st.sampled_from([-math.inf, torch.finfo(torch.float32).min]))
    options = {
        "alpha": draw(numbers(10)),
        "passes": passes,
        "label_smoothing": 0.0 if masked else draw(numbers(0.99)),
        "ignore_index": ignore_index,
        "ce_reduction": draw(st.sampled_from(["sum", "mean"])),
    }
    bias = bias if masked or draw(st.booleans()) else None
    reduction = "sum" if ignored.all() else draw(st.sampled_from(["sum", "mean"]))
    return Problem(hidden, weight, bias, target, masked, reduction, options)


def on_cpu(*tensors):
    return tuple(None if x is None else x.detach().cpu().double() for x in tensors)


def truth(logits, problem):
    """(losses, gradient of 7 times the objective); a masked class is one with a logit of -1e4."""
    logits = on_cpu(logits)[0].clamp(min=-1e4).requires_grad_()
    losses = reference.rdrop(logits, problem.target, **problem.options)
    if problem.reduction == "mean":
        count = problem.target.ne(problem.options["ignore_index"]).sum()
        losses = tuple(value / count for value in losses)
    (grad,) = torch.autograd.grad(7 * losses[0], logits)
    return tuple(value.detach() for value in losses), grad


@PROPERTY
@given(problem=problems(), dtype=st.sampled_from(DTYPES))
def test_rdrop_loss_is_the_formula(device, problem, dtype):
    """Losses and gradient of the logits are the formula's, by every reduction; masked classes add nothing.

    Regression: -inf minus -inf made the loss NaN, and so did a sum of the lowest fp32 number.
    """
    logits = F.linear(problem.hidden, problem.weight, problem.bias).to(device, dtype).requires_grad_()
    target = problem.target.to(device)
    got = rdrop_loss(logits, target, reduction=problem.reduction, **problem.options)
    (grad,) = torch.autograd.grad(7 * got.loss, logits)
    losses, expected = truth(logits, problem)
    rtol, atol = (1e-12, 1e-12) if dtype == torch.float64 else (1e-5, 1e-6)
    torch.testing.assert_close(on_cpu(*got), losses, rtol=rtol, atol=atol)
    rtol = max(10 * rtol, torch.finfo(dtype).eps)
    assert grad.dtype == dtype
    assert got.loss.dtype == torch.promote_types(dtype, torch.float32)
    torch.testing.assert_close(grad.cpu().double(), expected, rtol=rtol, atol=atol)
    assert grad[..., problem.masked].eq(0).all()
    assert not got.nll_loss.requires_grad
    assert not got.kl_loss.requires_grad
    each = rdrop_loss(logits, target, reduction="none", **problem.options)
    whole = rdrop_loss(logits, target, **problem.options)
    ignored = target.eq(problem.options["ignore_index"])
    for one_each, total in zip(each, whole):
        assert one_each.shape == target.shape
        assert one_each[ignored].eq(0).all()
        torch.testing.assert_close(one_each.sum(), total)


@PROPERTY
@given(
    problem=problems(),
    # On a CPU torch 2.0 has no product in fp16, and one in bf16 that errs by more than a GPU's.
    dtype=st.sampled_from(DTYPES[:2] if IS_OLDEST else DTYPES),
    chunk_size=st.none() | st.integers(1, 20),
    needed=st.sets(st.integers(0, 2), min_size=1),
    block_bytes=st.sampled_from([1, 4096, 1 << 20]),
    kernel_block=st.sampled_from([32, 2048]),
    transposed=st.booleans(),
)
def test_linear_rdrop_loss_is_the_formula(
    device, monkeypatch, problem, dtype, chunk_size, block_bytes, kernel_block, needed, transposed
):
    """Losses and gradients err by roundings only; u is the largest relative error of one to half precision.

    The gradient G of the logits may be rounded once before a product, which is added up in fp32, the product
    once after it, and once more times 7: an entry of G^T h errs by at most u |G|^T |h| + 2 u |G^T h|. The
    logits, which a GPU's product rounds to half precision, are exact: they are of few digits.
    """
    if dtype in DTYPES[2:]:  # multiples of 1/4 up to 32
        halves = (x.mul(2).round().clamp(-2, 2).div(2) for x in problem[:2])
        problem = Problem(*halves, *problem[2:])
    hidden, weight, bias = (None if x is None else x.to(device, dtype) for x in problem[:3])
    if transposed:  # not contiguous
        hidden = hidden.transpose(0, -2).contiguous().transpose(0, -2)
    inputs = [hidden, weight, bias]
    asking = [n for n in sorted(needed) if inputs[n] is not None] or [0]
    for n in asking:
        inputs[n] = inputs[n].requires_grad_()
    target = problem.target.to(device)

    def loss():
        options = dict(bias=inputs[2], reduction=problem.reduction, chunk_size=chunk_size, **problem.options)
        return linear_rdrop_loss(*inputs[:2], target, **options)

    monkeypatch.setitem(DEVICES, device, DEVICES[device]._replace(block_bytes=block_bytes))
    if DEVICES[device].kernel:
        assume(device == "cuda" or problem.target.numel() <= 12)  # 10 ms each by the interpreter
        for name in ("ELEMENTS", "LEAST_BLOCK"):
            monkeypatch.setattr(f"rdrop_fairseq.losses.kernel.{name}", kernel_block)
    got = loss()
    grads = torch.autograd.grad(7 * got.loss, [inputs[n] for n in asking])
    with torch.no_grad():
        torch.testing.assert_close(tuple(loss()), tuple(x.detach() for x in got), rtol=0, atol=0)

    hidden, weight, bias = on_cpu(*inputs)
    losses, grad = truth(F.linear(hidden, weight, bias), problem)
    rtol, atol = (1e-9, 1e-10) if dtype == torch.float64 else (1e-5, 1e-5)
    torch.testing.assert_close(on_cpu(*got), losses, rtol=rtol, atol=0 if dtype in DTYPES[2:] else atol / 10)
    u = torch.finfo(dtype).eps / 2 if dtype in DTYPES[2:] else 0
    grad, states = grad.flatten(0, -2), hidden.flatten(0, -2)

    def products(grad, weight, states):
        return (grad @ weight).view_as(hidden), grad.t() @ states, grad.sum(0)

    exact, bounds = products(grad, weight, states), products(grad.abs(), weight.abs(), states.abs())
    for n, ours in zip(asking, grads):
        assert ours.dtype == dtype
        error = (ours.cpu().double() - exact[n]).abs()
        assert (error <= (u + rtol) * bounds[n] + 2 * u * exact[n].abs() + atol).all()
        assert n == 0 or ours[problem.masked].eq(0).all()
