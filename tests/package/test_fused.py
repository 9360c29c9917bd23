"""What linear_rdrop_loss does beyond the formula, which test_loss_properties.py holds it to."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from rdrop_fairseq import linear_rdrop_loss, rdrop_loss
from rdrop_fairseq.losses import compatibility

PAD = 1


def make(passes, target_shape, classes=13, dim=6, dtype=torch.double, device="cpu"):
    torch.manual_seed(0)
    batch, *steps = target_shape
    hidden = torch.randn(passes * batch, *steps, dim, dtype=torch.double)
    weight = torch.randn(classes, dim, dtype=torch.double)
    bias = torch.randn(classes, dtype=torch.double)
    target = torch.randint(2, classes, target_shape)
    target[torch.rand(target_shape) < 0.3] = PAD
    inputs = (x.to(device, dtype).requires_grad_() for x in (hidden, weight, bias))
    return *inputs, target.to(device)


@pytest.mark.parametrize("passes", [1, 3])
def test_gradcheck(device, passes):
    """The gradient is that of finite differences."""
    hidden, weight, bias, target = make(passes, (2, 3), classes=5, dim=4, device=device)

    def loss(hidden, weight, bias):
        options = dict(alpha=2.0, passes=passes, bias=bias, label_smoothing=0.1, ignore_index=PAD)
        return linear_rdrop_loss(hidden, weight, target, **options).loss

    assert torch.autograd.gradcheck(loss, (hidden, weight, bias))


def test_fp16_gradients_below_its_range_survive_until_the_loss_scale(device):
    """Entries of about 1e-9 are zero in fp16, but not once the loss scale has multiplied them."""
    hidden, weight, bias, target = make(2, (2, 2), dtype=torch.float16, device=device)
    loss = linear_rdrop_loss(hidden, weight * 1e-7, target.clamp(min=2), bias=bias, alpha=5.0).loss
    (grad,) = torch.autograd.grad(2.0**12 * loss, hidden)
    assert grad.ne(0).float().mean() > 0.9


def test_small_gradients_of_the_logits_keep_their_precision_in_fp16(device):
    """Where the model is sure, all are near 1e-7, of which fp16 alone has one binary digit."""
    target = torch.tensor([0, 3, 5, 7], device=device)
    hidden = 16 * F.one_hot(target, 8)
    half = [x.to(torch.float16).requires_grad_() for x in (hidden, torch.eye(8, device=device))]
    double = [x.detach().double().requires_grad_() for x in half]
    grads = []
    for inputs in (half, double):
        loss = linear_rdrop_loss(*inputs, target, alpha=5.0, passes=1).loss
        grads.append(torch.autograd.grad(2.0**14 * loss, inputs))
    others = hidden.eq(0)  # the target's is 1 minus nearly 1, in fp32
    got, expected = (of_hidden[others].double() for of_hidden, _ in grads)
    torch.testing.assert_close(got, expected, rtol=2 * torch.finfo(torch.float16).eps, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_no_positions_are_no_loss(device, dtype):
    """Regression: on a GPU the largest of no fp16 gradients was asked for."""
    hidden = torch.zeros(0, 4, 6, dtype=dtype, device=device, requires_grad=True)
    weight = torch.zeros(13, 6, dtype=dtype, device=device, requires_grad=True)
    target = torch.zeros(0, 4, dtype=torch.long, device=device)
    losses = linear_rdrop_loss(hidden, weight, target, alpha=5.0)
    assert tuple(losses) == (0, 0, 0)
    assert all(grad.eq(0).all() for grad in torch.autograd.grad(losses.loss, (hidden, weight)))


def test_autocast_projects_in_the_autocast_dtype(device):
    """Losses and gradients under bf16 autocast are those of F.linear under it, and gradients are in fp32."""
    hidden, weight, bias, target = make(2, (3, 5), dtype=torch.float, device=device)
    options = dict(alpha=5.0, ignore_index=PAD)
    with torch.autocast(device, torch.bfloat16):
        expected = rdrop_loss(F.linear(hidden, weight, bias), target, **options)
        got = linear_rdrop_loss(hidden, weight, target, bias=bias, **options)
    torch.testing.assert_close(tuple(got), tuple(expected), rtol=2e-2, atol=1e-2)
    inputs = hidden, weight, bias
    grads, references = (torch.autograd.grad(result.loss, inputs) for result in (got, expected))
    for grad, reference in zip(grads, references):
        assert grad.dtype == torch.float32
        assert (grad - reference).norm() <= 3e-2 * reference.norm()


@pytest.mark.parametrize("shape", [(7,), (3, 5), (2, 3, 2), (0, 4)])
@pytest.mark.parametrize("size", [0, 4, 30])
def test_positions_of_an_accelerator_with_an_older_torch(device, monkeypatch, shape, size):
    """What stands in for torch.nonzero_static (torch 2.1, and later for CUDA) gives the same."""
    monkeypatch.setattr(compatibility, "_torch_is", lambda *version: False)
    mask = (torch.rand(shape, generator=torch.Generator().manual_seed(0)) < 0.5).to(device)
    size = min(size, mask.numel())
    expected = torch.full((size, mask.dim()), -1, device=device)
    true = mask.nonzero()[:size]
    expected[: len(true)] = true
    assert compatibility.nonzero_static(mask, size).equal(expected)


@pytest.mark.parametrize("old", [False, True])
def test_a_product_of_half_precision_adds_up_in_fp32(device, monkeypatch, old):
    """The product is exact where bf16 could not hold the sum; with an older torch as well."""
    if old:
        monkeypatch.setattr(compatibility, "_torch_is", lambda *version: False)
    a = torch.full((1, 4096), 1.0, dtype=torch.bfloat16, device=device)
    assert compatibility.mm(a, a.t() + 2**-7, torch.float32).item() == 4096 * (1 + 2**-7)
