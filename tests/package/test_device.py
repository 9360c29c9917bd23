"""The table of devices, and the devices that are not in it."""

from __future__ import annotations

import sys

import pytest
import torch
from conftest import run
from devices import gpu

from rdrop_fairseq import compute_kl_loss, linear_rdrop_loss, rdrop_loss
from rdrop_fairseq.losses import fused, precision
from rdrop_fairseq.losses.device import CUDA, DEVICES, OTHER, device_of

BAD_TARGET = """
import sys, torch
from rdrop_fairseq import linear_rdrop_loss
hidden, weight = torch.randn(4, 3, device="cuda"), torch.randn(5, 3, device="cuda")
linear_rdrop_loss(hidden, weight, torch.tensor([0, 5], device="cuda"), alpha=1.0)
torch.cuda.synchronize()
"""


def losses(dtype=torch.float32):
    torch.manual_seed(0)
    hidden, weight = (torch.randn(*shape).to(dtype).requires_grad_() for shape in ((6, 4, 8), (11, 8)))
    target = torch.randint(2, 11, (3, 4))
    target[:, 2] = 1
    options = dict(alpha=2.0, label_smoothing=0.1, ignore_index=1)
    result = linear_rdrop_loss(hidden, weight, target, **options)
    return (*result, *torch.autograd.grad(result.loss, (hidden, weight)))


def test_an_accelerator_that_is_not_in_the_table_gets_the_safe_way(monkeypatch):
    """Regression: xpu, mps and npu got asserts that their back ends may lack."""
    expected = losses(torch.bfloat16)
    monkeypatch.delitem(DEVICES, "cpu")
    assert device_of(torch.zeros(1)) == OTHER

    def missing(*_, **__):
        raise NotImplementedError("no such operator")

    def product(*args, mm=torch.mm, **options):
        return missing() if "out_dtype" in options else mm(*args, **options)

    for name in ("_assert_async", "nonzero_static"):
        monkeypatch.setattr(torch, name, missing, raising=False)
    monkeypatch.setattr(torch, "mm", product)
    torch.testing.assert_close(losses(torch.bfloat16), expected)
    with pytest.raises(ValueError, match=r"target must be in \[0, 5\) .* got 5"):
        linear_rdrop_loss(torch.randn(4, 3), torch.randn(5, 3), torch.tensor([0, 5]), alpha=1.0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_gpu_multiplies_as_it_is_and_adds_in_fp32(monkeypatch, dtype):
    """The products have operands of the format. The weight's gradient is added up in fp32, and that of fp16
    states waits in fp32 for the loss scale; logits and the gradient of bf16 states are what F.linear gives.
    """
    seen = []

    def record(a, b, out_dtype):
        seen.append((a.dtype, b.dtype, out_dtype))
        return torch.mm(a.to(out_dtype), b.to(out_dtype))

    monkeypatch.setitem(DEVICES, "cpu", CUDA._replace(kernel=False))
    for module in (fused, precision):
        monkeypatch.setattr(module, "mm", record)
    losses(dtype)
    of_states = torch.float32 if dtype == torch.float16 else dtype
    assert seen == [(dtype, dtype, of_states), (dtype, dtype, torch.float32)]


def test_a_target_out_of_range_is_asserted_by_the_device(monkeypatch):
    """The assertion stands for the ValueError where the host may not look."""
    monkeypatch.setitem(DEVICES, "cpu", CUDA._replace(kernel=False))
    logits, target = torch.randn(4, 5), torch.tensor([0, 5])
    with pytest.raises(RuntimeError, match=r"[Aa]ssert|nonzero"):
        rdrop_loss(logits, target, alpha=1.0)
    assert compute_kl_loss(logits, logits) == 0


@pytest.mark.cuda
def test_a_target_out_of_range_on_a_gpu():
    """The assertion ends a process of its own, as it leaves a GPU's context unusable."""
    gpu()
    result = run(sys.executable, "-c", BAD_TARGET, check=False)
    assert result.returncode != 0
    assert "assert" in result.stdout.lower()
