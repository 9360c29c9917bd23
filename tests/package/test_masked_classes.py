"""Infinite and finite losses beside classes that a mask excludes, with -inf in the logits or in the bias.

test_loss_properties.py has the losses' numbers beside masked classes that are no targets.
"""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from rdrop_fairseq import compute_kl_loss, linear_rdrop_loss, rdrop_loss

PAD, CLASSES, MASKED = 1, 9, [0, 4]
ALLOWED = [c for c in range(CLASSES) if c not in MASKED]


def make(passes, dtype, mask=-math.inf, device="cpu"):
    torch.manual_seed(0)
    hidden = torch.randn(passes * 3, 4, 6, dtype=dtype).to(device).requires_grad_()
    weight = torch.randn(CLASSES, 6, dtype=dtype).to(device).requires_grad_()
    bias = torch.randn(CLASSES, dtype=dtype)
    bias[MASKED] = mask
    target = torch.tensor(ALLOWED)[torch.randint(2, len(ALLOWED), (3, 4))]
    target[:, 3] = PAD
    return hidden, weight, bias.to(device).requires_grad_(), target.to(device)


def naive(hidden, weight, target, *, bias, **options):
    return rdrop_loss(F.linear(hidden, weight, bias), target, **options)


@pytest.mark.parametrize("loss", [naive, linear_rdrop_loss])
@pytest.mark.parametrize("passes", [1, 2, 3])
@pytest.mark.parametrize(("label_smoothing", "masked_target"), [(0.0, True), (0.1, False), (0.1, True)])
def test_a_masked_target_or_smoothing_costs_an_infinite_loss(
    device, loss, passes, label_smoothing, masked_target
):
    """The loss is infinite as in torch's cross_entropy, no NaN; the parts without the class stay finite."""
    hidden, weight, bias, target = make(passes, torch.float32, device=device)
    if masked_target:
        target[1, 1] = MASKED[1]
    options = dict(alpha=2.0, passes=passes, label_smoothing=label_smoothing, ignore_index=PAD)
    result = loss(hidden, weight, target, bias=bias, **options)
    assert result.loss == math.inf
    assert result.nll_loss == math.inf if masked_target else result.nll_loss.isfinite()
    assert result.kl_loss.isfinite()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_masked_in_one_pass_only_diverges_infinitely(device, dtype):
    """The KL is infinite at that position and nowhere else; at an ignored position it counts for nothing."""
    torch.manual_seed(0)
    logits = torch.randn(3 * 2, 4, CLASSES, dtype=dtype).to(device)
    logits[:, 0, 3] = -math.inf
    logits[0, 2, 5] = -math.inf  # pass 0, sentence 0
    logits.requires_grad_()
    target = torch.full((2, 4), 2, device=device)
    options = dict(passes=3, ignore_index=PAD)
    each = rdrop_loss(logits, target, alpha=1.0, reduction="none", **options)
    infinite = torch.zeros(2, 4, dtype=torch.bool, device=device)
    infinite[0, 2] = True
    assert each.kl_loss.isinf().equal(infinite)
    assert each.loss.isinf().equal(infinite)
    assert compute_kl_loss(*logits.chunk(3)[:2]) == math.inf
    assert rdrop_loss(logits, target, alpha=0.0, **options).loss.isfinite()
    target[0, 2] = PAD
    ignored = rdrop_loss(logits, target, alpha=1.0, **options)
    assert ignored.loss.isfinite()
    assert torch.autograd.grad(ignored.loss, logits)[0].isfinite().all()


def test_the_kl_alone_with_classes_masked_in_both(device):
    """compute_kl_loss of masked logits is that of the other classes, with a gradient of 0 for the masked."""
    p, q = torch.randn(2, 5, CLASSES, dtype=torch.float64).to(device).unbind()
    p[:, MASKED] = q[:, MASKED] = -math.inf
    p.requires_grad_(), q.requires_grad_()
    kl = compute_kl_loss(p, q)
    torch.testing.assert_close(kl, compute_kl_loss(p[:, ALLOWED], q[:, ALLOWED]))
    for grad in torch.autograd.grad(kl, (p, q)):
        assert grad.isfinite().all()
        assert grad[:, MASKED].eq(0).all()


def test_a_mask_under_autocast(device):
    """The mask -1e9 gives nearly the losses of fp32, though it is -inf in fp16 and finite in bf16."""
    hidden, weight, bias, target = make(2, torch.float32, mask=-1e9, device=device)
    options = dict(alpha=2.0, ignore_index=PAD)
    exact = linear_rdrop_loss(hidden, weight, target, bias=bias, **options)
    with torch.autocast(device, torch.bfloat16):
        low = linear_rdrop_loss(hidden, weight, target, bias=bias, **options)
    torch.testing.assert_close(tuple(low), tuple(exact), rtol=3e-2, atol=1e-2)
