"""The public losses against the formulas of tests/reference.py, torch and fairseq."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from rdrop_fairseq import compute_kl_loss, label_smoothed_nll_loss, linear_rdrop_loss, rdrop_loss
from rdrop_tools.benchmarks import reference

PAD = 1


def make(passes=2, batch=3, steps=5, classes=11, dtype=torch.double, seed=0, device="cpu"):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(passes * batch, steps, classes, generator=generator, dtype=dtype)
    target = torch.randint(2, classes, (batch, steps), generator=generator)
    target[0, 3:] = PAD
    target[-1, 1:] = PAD
    return logits.to(device).requires_grad_(), target.to(device)


@pytest.mark.parametrize("passes", [1, 2, 3, 4])
@pytest.mark.parametrize("ce_reduction", ["sum", "mean"])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_rdrop_loss_is_the_formula(device, passes, ce_reduction, label_smoothing):
    logits, target = make(passes, device=device)
    options = dict(
        alpha=5.0,
        passes=passes,
        label_smoothing=label_smoothing,
        ignore_index=PAD,
        ce_reduction=ce_reduction,
    )
    ours = rdrop_loss(logits, target, **options)
    theirs = reference.rdrop(logits, target, **options)
    torch.testing.assert_close(tuple(ours), theirs, rtol=1e-12, atol=1e-12)
    (grad,) = torch.autograd.grad(3 * ours.loss, logits)
    (expected,) = torch.autograd.grad(3 * theirs[0], logits)
    torch.testing.assert_close(grad, expected, rtol=1e-11, atol=1e-12)
    pads = target.eq(PAD).repeat(passes, 1)
    assert grad[pads].eq(0).all()
    assert grad[~pads].ne(0).all()
    assert not ours.nll_loss.requires_grad
    assert not ours.kl_loss.requires_grad


def test_gradient_of_kl_is_that_of_design(device):
    """1/2 [p (d - KL(p||q)) + p - q] for two passes."""
    (logits, _) = make(batch=1, steps=1, device=device)
    (grad,) = torch.autograd.grad(compute_kl_loss(*logits.chunk(2)), logits)
    log_p, log_q = logits.detach().log_softmax(-1).flatten(0, 1)
    p, q, d = log_p.exp(), log_q.exp(), log_p - log_q
    torch.testing.assert_close(grad[0, 0], (p * (d - (p * d).sum()) + p - q) / 2)
    torch.testing.assert_close(grad[1, 0], (q * (-d + (q * d).sum()) + q - p) / 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_equal_passes_do_not_diverge(device, dtype):
    logits, target = make(dtype=dtype, device=device)
    half = logits.detach()[:3]
    assert compute_kl_loss(half, half).item() == 0
    assert rdrop_loss(torch.cat([half, half]), target, alpha=5, ignore_index=PAD).kl_loss.item() == 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_is_computed_in_fp32(device, dtype):
    logits, target = make(dtype=dtype, device=device)
    low = rdrop_loss(logits, target, alpha=5, ignore_index=PAD)
    high = rdrop_loss(logits.float(), target, alpha=5, ignore_index=PAD)
    assert low.loss.dtype == torch.float32
    torch.testing.assert_close(low.loss, high.loss, rtol=1e-6, atol=0)
    (grad,) = torch.autograd.grad(low.loss, logits)
    assert grad.dtype == dtype


@pytest.mark.parametrize("reduction", ["sum", "mean", "none"])
def test_reductions(device, reduction):
    logits, target = make(device=device)
    each = rdrop_loss(logits, target, alpha=5, ignore_index=PAD, reduction="none")
    got = rdrop_loss(logits, target, alpha=5, ignore_index=PAD, reduction=reduction)
    count = target.ne(PAD).sum()
    for all_positions, value in zip(each, got):
        assert all_positions.shape == target.shape
        assert all_positions[target.eq(PAD)].eq(0).all()
        expected = {
            "none": all_positions,
            "sum": all_positions.sum(),
            "mean": all_positions.sum() / count,
        }
        torch.testing.assert_close(value, expected[reduction])


def test_kl_loss_is_that_of_torch_with_every_reduction(device):
    logits, target = make(device=device)
    p, q = logits.chunk(2)
    mask = target.eq(PAD)
    log_p, log_q = p.log_softmax(-1), q.log_softmax(-1)
    each = (
        F.kl_div(log_q, log_p, log_target=True, reduction="none")
        + F.kl_div(log_p, log_q, log_target=True, reduction="none")
    ).sum(-1) / 2
    each = each.masked_fill(mask, 0)
    for reduction, expected in {
        "none": each,
        "sum": each.sum(),
        "mean": each.sum() / (~mask).sum(),
        "batchmean": each.sum() / 3,
    }.items():
        torch.testing.assert_close(compute_kl_loss(p, q, mask, reduction=reduction), expected)
    torch.testing.assert_close(compute_kl_loss(p[0, 0], q[0, 0]), compute_kl_loss(p[:1, :1], q[:1, :1]))


def test_label_smoothed_nll_loss_is_that_of_fairseq(device):
    criterion = pytest.importorskip("fairseq.criterions.label_smoothed_cross_entropy")
    logits, target = make(passes=1, dtype=torch.float, device=device)
    lprobs = logits.log_softmax(-1)
    ours = label_smoothed_nll_loss(lprobs, target, epsilon=0.1, ignore_index=PAD)
    theirs = criterion.label_smoothed_nll_loss(lprobs.flatten(0, 1), target.flatten(), 0.1, ignore_index=PAD)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("linear", [False, True])
def test_one_pass_is_the_cross_entropy_of_fairseq(device, linear):
    """Regression: one pass was refused, and then asked for an alpha, which plays no part in it."""
    criterion = pytest.importorskip("fairseq.criterions.label_smoothed_cross_entropy")
    logits, target = make(passes=1, dtype=torch.float, device=device)
    lprobs = logits.log_softmax(-1).flatten(0, 1)
    theirs = criterion.label_smoothed_nll_loss(lprobs, target.flatten(), 0.1, ignore_index=PAD)
    for alpha in ({}, {"alpha": 0.0}, {"alpha": 5.0}):
        options = dict(passes=1, label_smoothing=0.1, ignore_index=PAD, **alpha)
        if linear:
            ours = linear_rdrop_loss(logits, torch.eye(11, device=device), target, **options)
        else:
            ours = rdrop_loss(logits, target, **options)
        torch.testing.assert_close(ours[:2], theirs, rtol=1e-6, atol=0)
        assert ours.kl_loss == 0
        grads = [torch.autograd.grad(x, logits, retain_graph=True)[0] for x in (ours.loss, theirs[0])]
        torch.testing.assert_close(*grads)


def test_a_classifier_needs_no_sequence():
    logits, target = make(batch=4, steps=1)
    flat, labels = logits.squeeze(1), torch.tensor([0, 3, 5, 2])
    result = rdrop_loss(flat, labels, alpha=1.0, reduction="mean", ce_reduction="mean")
    ce = F.cross_entropy(flat, labels.repeat(2))
    kl = compute_kl_loss(*flat.chunk(2), reduction="batchmean")
    torch.testing.assert_close(result.loss, ce + kl)
    assert target.shape == (4, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": -1.0}, "alpha must be .* got -1.0"),
        ({"alpha": math.nan}, "alpha must be .* got nan"),
        ({"alpha": math.inf}, "alpha must be .* got inf"),
        ({"passes": 0}, "passes must be .* got 0"),
        ({"passes": 1}, r"must have shape .* passes = 1"),
        ({"passes": 4}, r"must have shape .* passes = 4"),
        ({"label_smoothing": 1.0}, "label_smoothing must be .* got 1.0"),
        ({"ce_reduction": "none"}, "ce_reduction must be one of .* got 'none'"),
        ({"reduction": "max"}, "reduction must be one of .* got 'max'"),
        ({"target": torch.full((3, 5), 11)}, r"target must be in \[0, 11\) .* got 11"),
        ({"target": torch.full((3, 5), -1)}, r"target must be in \[0, 11\) .* got -1"),
        ({"target": torch.zeros(3, 4, dtype=torch.long)}, "must have shape"),
        ({"target": torch.zeros(3, 5)}, "target must be int64"),
    ],
)
@pytest.mark.parametrize("linear", [False, True])
def test_bad_arguments_are_named(change, message, linear):
    logits, target = make()
    options = {"alpha": 5.0, "target": target, "ignore_index": PAD, **change}
    inputs = [logits, torch.eye(11).double()] if linear else [logits]
    loss = linear_rdrop_loss if linear else rdrop_loss
    with pytest.raises(ValueError, match=message):
        loss(*inputs, **options)


def test_bad_shapes_of_the_other_losses_are_named():
    logits, target = make()
    with pytest.raises(ValueError, match="p and q must be"):
        compute_kl_loss(logits, logits[:3])
    with pytest.raises(ValueError, match="pad_mask must be bool"):
        compute_kl_loss(logits, logits, pad_mask=target)
    with pytest.raises(ValueError, match="target must have the shape"):
        label_smoothed_nll_loss(logits, target, epsilon=0.1)
    with pytest.raises(ValueError, match="weight must be"):
        linear_rdrop_loss(logits, torch.eye(10), target, alpha=1)
    with pytest.raises(ValueError, match="bias must be"):
        linear_rdrop_loss(logits, torch.eye(11), target, alpha=1, bias=torch.zeros(3))
    with pytest.raises(ValueError, match="chunk_size must be"):
        linear_rdrop_loss(logits, torch.eye(11), target, alpha=1, chunk_size=0, ignore_index=PAD)
    with pytest.raises(ValueError, match="reduction must be one of 'sum', 'mean'"):
        linear_rdrop_loss(logits, torch.eye(11), target, alpha=1, reduction="none")
