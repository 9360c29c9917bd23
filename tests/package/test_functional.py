"""The public losses against torch and fairseq; test_loss_properties.py has rdrop_loss against the formula."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from rdrop_fairseq import compute_kl_loss, label_smoothed_nll_loss, linear_rdrop_loss, rdrop_loss

PAD = 1


def make(passes=2, dtype=torch.double, device="cpu"):
    """Logits (passes * 3, 5, 11) and targets with padding."""
    generator = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(passes * 3, 5, 11, generator=generator, dtype=dtype)
    target = torch.randint(2, 11, (3, 5), generator=generator)
    target[0, 3:] = target[-1, 1:] = PAD
    return logits.to(device).requires_grad_(), target.to(device)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_equal_passes_do_not_diverge(device, dtype):
    """The KL of equal passes is exactly 0."""
    logits, target = make(dtype=dtype, device=device)
    half = logits.detach()[:3]
    assert compute_kl_loss(half, half).item() == 0
    assert rdrop_loss(torch.cat([half, half]), target, alpha=5, ignore_index=PAD).kl_loss.item() == 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_is_computed_in_fp32(device, dtype):
    """Half-precision logits give the loss of the same logits in fp32, and get a gradient of their dtype."""
    logits, target = make(dtype=dtype, device=device)
    low = rdrop_loss(logits, target, alpha=5, ignore_index=PAD)
    high = rdrop_loss(logits.float(), target, alpha=5, ignore_index=PAD)
    assert low.loss.dtype == torch.float32
    torch.testing.assert_close(low.loss, high.loss, rtol=1e-6, atol=0)
    (grad,) = torch.autograd.grad(low.loss, logits)
    assert grad.dtype == dtype


def test_kl_loss_is_that_of_torch_with_every_reduction(device):
    """Values and gradients are those of two F.kl_div."""
    logits, target = make(device=device)
    p, q = logits.chunk(2)
    mask = target.eq(PAD)
    log_p, log_q = p.log_softmax(-1), q.log_softmax(-1)
    both_ways = F.kl_div(log_q, log_p, log_target=True, reduction="none") + F.kl_div(
        log_p, log_q, log_target=True, reduction="none"
    )
    each = both_ways.sum(-1).masked_fill(mask, 0) / 2
    total = each.sum()
    for reduction, expected in {
        "none": each,
        "sum": total,
        "mean": total / (~mask).sum(),
        "batchmean": total / 3,
    }.items():
        kl = compute_kl_loss(p, q, mask, reduction=reduction)
        torch.testing.assert_close(kl, expected)
        grads = (torch.autograd.grad(x.sum(), logits, retain_graph=True)[0] for x in (kl, expected))
        torch.testing.assert_close(*grads)
    torch.testing.assert_close(compute_kl_loss(p[0, 0], q[0, 0]), compute_kl_loss(p[:1, :1], q[:1, :1]))


def test_cross_entropy_is_that_of_fairseq(device):
    """label_smoothed_nll_loss and both losses with one pass, whatever alpha, are fairseq's loss.

    Regression: one pass was refused, and then asked for an alpha, which plays no part in it.
    """
    criterion = pytest.importorskip("fairseq.criterions.label_smoothed_cross_entropy")
    logits, target = make(passes=1, dtype=torch.float, device=device)
    lprobs = logits.log_softmax(-1)
    theirs = criterion.label_smoothed_nll_loss(lprobs.flatten(0, 1), target.flatten(), 0.1, ignore_index=PAD)
    ours = label_smoothed_nll_loss(lprobs, target, epsilon=0.1, ignore_index=PAD)
    torch.testing.assert_close(ours, theirs)
    (expected,) = torch.autograd.grad(theirs[0], logits)
    for alpha in ({}, {"alpha": 0.0}, {"alpha": 5.0}):
        options = dict(passes=1, label_smoothing=0.1, ignore_index=PAD, **alpha)
        eye = torch.eye(11, device=device)
        for ours in (
            rdrop_loss(logits, target, **options),
            linear_rdrop_loss(logits, eye, target, **options),
        ):
            torch.testing.assert_close(ours[:2], theirs, rtol=1e-6, atol=0)
            assert ours.kl_loss == 0
            torch.testing.assert_close(torch.autograd.grad(ours.loss, logits)[0], expected)


def test_a_mean_over_nothing_has_gradient_zero(device):
    """The value is NaN, as torch's cross_entropy has it; the gradient is 0 and not NaN.

    Regression: the gradient was NaN, 0 times infinity, and so were all parameters after the update.
    """
    logits, target = make(device=device)
    target.fill_(PAD)
    p, q = logits.chunk(2)
    options = dict(reduction="mean", ignore_index=PAD)
    losses = [
        rdrop_loss(logits, target, alpha=5.0, label_smoothing=0.1, **options).loss,
        *label_smoothed_nll_loss(p.log_softmax(-1), target, epsilon=0.1, **options),
        compute_kl_loss(p, q, target.eq(PAD), reduction="mean"),
    ]
    for loss in losses:
        assert loss.isnan()
        (grad,) = torch.autograd.grad(loss, logits, retain_graph=True)
        assert grad.eq(0).all()
