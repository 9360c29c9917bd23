"""Classes that a mask excludes, with -inf in the logits or in the projection's bias."""

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
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("mask", [-math.inf, torch.finfo(torch.float32).min])
def test_masked_classes_are_as_good_as_absent(device, loss, passes, dtype, mask):
    """-inf minus -inf made the loss NaN; so did the lowest fp32 number, whose sum overflows."""
    hidden, weight, bias, target = make(passes, dtype, mask, device)
    options = dict(alpha=2.0, passes=passes, ignore_index=PAD)
    result = loss(hidden, weight, target, bias=bias, **options)
    grads = torch.autograd.grad(result.loss, (hidden, weight, bias))

    narrow = torch.tensor(ALLOWED, device=device)
    small = [x.detach()[narrow].requires_grad_() for x in (weight, bias)]
    new_index = torch.full((CLASSES,), -1, device=device)
    new_index[narrow] = torch.arange(len(ALLOWED), device=device)
    expected = naive(
        hidden, small[0], new_index[target], bias=small[1], **{**options, "ignore_index": int(new_index[PAD])}
    )
    wanted = torch.autograd.grad(expected.loss, (hidden, *small))
    torch.testing.assert_close(tuple(result), tuple(expected))
    assert all(grad.isfinite().all() for grad in grads)
    torch.testing.assert_close((grads[0], grads[1][narrow], grads[2][narrow]), wanted)
    assert grads[1][MASKED].eq(0).all()
    assert grads[2][MASKED].eq(0).all()


@pytest.mark.parametrize("passes", [1, 2, 3])
def test_gradcheck_beside_masked_classes(device, passes):
    hidden, weight, bias, target = make(passes, torch.float64, device=device)
    free, mask = bias.detach().masked_fill(bias.isneginf(), 0).requires_grad_(), bias.isneginf()
    for loss in (naive, linear_rdrop_loss):

        def value(hidden, weight, free, loss=loss):
            masked = free.masked_fill(mask, -math.inf)
            return loss(hidden, weight, target, bias=masked, alpha=2.0, passes=passes, ignore_index=PAD).loss

        assert torch.autograd.gradcheck(value, (hidden, weight, free), fast_mode=True)


@pytest.mark.parametrize("loss", [naive, linear_rdrop_loss])
@pytest.mark.parametrize("passes", [1, 2, 3])
@pytest.mark.parametrize(("label_smoothing", "masked_target"), [(0.0, True), (0.1, False), (0.1, True)])
def test_a_masked_target_or_smoothing_costs_an_infinite_loss(
    device, loss, passes, label_smoothing, masked_target
):
    """As in torch's cross_entropy: no NaN, and the parts that do not name the class stay finite."""
    hidden, weight, bias, target = make(passes, torch.float32, device=device)
    if masked_target:
        target[1, 1] = MASKED[1]
    result = loss(
        hidden,
        weight,
        target,
        bias=bias,
        alpha=2.0,
        passes=passes,
        label_smoothing=label_smoothing,
        ignore_index=PAD,
    )
    assert result.loss == math.inf
    assert result.nll_loss == math.inf if masked_target else result.nll_loss.isfinite()
    assert result.kl_loss.isfinite()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_masked_in_one_pass_only_diverges_infinitely(device, dtype):
    """... at that position, and nowhere else; at an ignored position it counts for nothing."""
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
    p, q = torch.randn(2, 5, CLASSES, dtype=torch.float64).to(device).unbind()
    p[:, MASKED] = q[:, MASKED] = -math.inf
    p.requires_grad_(), q.requires_grad_()
    kl = compute_kl_loss(p, q)
    torch.testing.assert_close(kl, compute_kl_loss(p[:, ALLOWED], q[:, ALLOWED]))
    for grad in torch.autograd.grad(kl, (p, q)):
        assert grad.isfinite().all()
        assert grad[:, MASKED].eq(0).all()


@pytest.mark.parametrize("passes", [1, 2])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_a_masked_ignore_index_at_the_fillers_of_an_accelerator(device, passes, label_smoothing):
    """A filler takes the target of the last position, padding that the mask excludes: 0 times inf."""
    hidden, weight, bias, target = make(passes, torch.float64, device=device)
    bias = bias.detach().clone()
    bias[PAD] = -math.inf
    if label_smoothing:
        bias = bias.clamp(min=-5)
    options = dict(bias=bias, alpha=2.0, passes=passes, label_smoothing=label_smoothing, ignore_index=PAD)
    expected = naive(hidden[:, :3], weight, target[:, :3], **options)  # without the padding
    result = linear_rdrop_loss(hidden, weight, target, **options)
    torch.testing.assert_close(tuple(result), tuple(expected))
    assert result.loss.isfinite()


def test_a_mask_under_autocast(device):
    """-1e9, a usual mask, is -inf in fp16 and finite in bf16."""
    hidden, weight, bias, target = make(2, torch.float32, mask=-1e9, device=device)
    options = dict(alpha=2.0, ignore_index=PAD)
    exact = linear_rdrop_loss(hidden, weight, target, bias=bias, **options)
    with torch.autocast(device, torch.bfloat16):
        low = linear_rdrop_loss(hidden, weight, target, bias=bias, **options)
    torch.testing.assert_close(tuple(low), tuple(exact), rtol=3e-2, atol=1e-2)
