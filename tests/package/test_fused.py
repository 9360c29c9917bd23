"""What linear_rdrop_loss does beyond the formula, which test_loss_properties.py holds it to."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from rdrop_fairseq import linear_rdrop_loss, rdrop_loss
from rdrop_fairseq.losses import compatibility
from rdrop_fairseq.losses.fused import Options, linear_rdrop_sums

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


@pytest.mark.parametrize("change", [torch.Tensor.zero_, lambda grad: grad.mul_(0.5), None])
def test_a_retained_graph_gives_its_gradient_again(device, change):
    """Whatever is done to the gradient that it gave before, as after zero_grad(), clipping or accumulation.

    Regression: the saved gradient itself was handed out, and the next backward raised a RuntimeError.
    """
    hidden, weight, bias, target = make(2, (3, 5), device=device)
    leaves = hidden, weight, bias
    loss = linear_rdrop_loss(hidden, weight, target, bias=bias, alpha=5.0, ignore_index=PAD).loss
    loss.backward(retain_graph=True)
    first = [leaf.grad.clone() for leaf in leaves]
    for leaf in leaves:
        if change is not None:
            change(leaf.grad)
    loss.backward(retain_graph=True)
    loss.backward()
    for leaf, grad in zip(leaves, first):
        kept = grad.clone() if change is None else change(grad.clone())
        torch.testing.assert_close(leaf.grad, kept + 2 * grad)


def test_ties_count_as_argmax_counts_them(device):
    """The first of the largest logits is the prediction.

    Regression: with equal logits every target counted as hit.
    """
    target = torch.tensor([0, 1, 2, 3, 4, -100], device=device)
    ties = [
        [2.0, 2, 2, 2, 2],
        [0, 3, 0, 3, 0],
        [0, 3, 3, 0, 0],
        [1, 0, 0, 1, 0],
        [0, 0, 0, 0, 9],
        [9, 9, 9, 9, 9],
    ]
    hidden = torch.cat([torch.zeros(6, 5), torch.tensor(ties)]).to(device)  # 2 passes
    options = Options(alpha=1.0, passes=2, label_smoothing=0.1, ignore_index=-100, ce_scale=1.0)
    correct = linear_rdrop_sums(hidden, torch.eye(5, device=device), None, target, options)[3]
    assert correct == hidden.view(2, 6, 5).argmax(-1).eq(target).sum() == 4


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("divide", [False, True])
def test_nothing_to_count_has_gradient_zero(device, dtype, divide):
    """By reduction "mean", and by a user's own division by the number of positions, 0.

    Regression: the gradient was NaN, 0 times infinity, and so were all parameters after the update.
    """
    hidden, weight, bias, target = make(2, (2, 3), dtype=dtype, device=device)
    target.fill_(PAD)
    reduction = "sum" if divide else "mean"
    options = dict(bias=bias, alpha=5.0, label_smoothing=0.1, ignore_index=PAD, reduction=reduction)
    result = linear_rdrop_loss(hidden, weight, target, **options)
    loss = result.loss / target.ne(PAD).sum() if divide else result.loss
    assert loss.isnan()
    for grad in torch.autograd.grad(loss, (hidden, weight, bias)):
        assert grad.eq(0).all()


def test_what_is_ignored_may_be_nan(device):
    """The states of pads, as attention with nothing to attend to leaves them, are in no product."""
    hidden, weight, bias, target = make(2, (3, 5), device=device)
    target[:, -2:] = PAD
    with torch.no_grad():
        hidden[:, -2:] = torch.nan
    loss = linear_rdrop_loss(hidden, weight, target, bias=bias, alpha=5.0, ignore_index=PAD).loss
    assert loss.isfinite()
    for grad in torch.autograd.grad(loss, (hidden, weight, bias)):
        assert grad.isfinite().all()


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


@pytest.mark.parametrize("length", [0, 7, 15])
@pytest.mark.parametrize("size", [0, 4, 30])
def test_positions_of_an_accelerator_with_an_older_torch(device, monkeypatch, length, size):
    """What stands in for torch.nonzero_static (torch 2.1, and later for CUDA) gives the same."""
    monkeypatch.setattr(compatibility, "_torch_is", lambda *version: False)
    mask = (torch.rand(length, generator=torch.Generator().manual_seed(0)) < 0.5).to(device)
    size = min(size, length)
    true = mask.nonzero().squeeze(1)[:size]
    expected = torch.cat([true, true.new_full((size - len(true),), length)])
    assert compatibility.nonzero_static(mask, size).equal(expected)


@pytest.mark.parametrize("old", [False, True])
def test_a_product_of_half_precision_adds_up_in_fp32(device, monkeypatch, old):
    """The product is exact where bf16 could not hold the sum; with an older torch as well."""
    if old:
        monkeypatch.setattr(compatibility, "_torch_is", lambda *version: False)
    a = torch.full((1, 4096), 1.0, dtype=torch.bfloat16, device=device)
    assert compatibility.mm(a, a.t() + 2**-7, torch.float32).item() == 4096 * (1 + 2**-7)
