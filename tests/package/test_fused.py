"""linear_rdrop_loss against rdrop_loss on the full logits."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from rdrop_fairseq import compatibility, linear_rdrop_loss, rdrop_loss

PAD = 1


def make(passes, target_shape, classes=13, dim=6, dtype=torch.double, pads="some", device="cpu"):
    torch.manual_seed(0)
    batch, *steps = target_shape
    hidden = torch.randn(passes * batch, *steps, dim, dtype=torch.double)
    weight = torch.randn(classes, dim, dtype=torch.double)
    bias = torch.randn(classes, dtype=torch.double)
    target = torch.randint(2, classes, target_shape)
    if pads == "all":
        target.fill_(PAD)
    elif pads == "some":
        target[torch.rand(target_shape) < 0.3] = PAD
    inputs = (x.to(device, dtype).requires_grad_() for x in (hidden, weight, bias))
    return *inputs, target.to(device)


def losses_and_grads(function, inputs, scale=1.0):
    result = function(*inputs)
    grads = torch.autograd.grad(result.loss * scale, [x for x in inputs if x.requires_grad])
    return tuple(result), grads


def both(target, passes, use_bias=True, **options):
    options = dict(alpha=5.0, passes=passes, ignore_index=PAD, **options)
    chunk_size = options.pop("chunk_size", None)

    def naive(hidden, weight, bias):
        logits = F.linear(hidden, weight, bias if use_bias else 0 * bias)
        return rdrop_loss(logits, target, **options)

    def ours(hidden, weight, bias):
        bias = bias if use_bias else 0 * bias
        return linear_rdrop_loss(hidden, weight, target, bias=bias, chunk_size=chunk_size, **options)

    return naive, ours


@pytest.mark.parametrize("passes", [1, 2, 3, 4])
@pytest.mark.parametrize("shape", [(3, 5), (1, 1), (7,), (2, 3, 2)])
@pytest.mark.parametrize("pads", ["some", "none", "all"])
@pytest.mark.parametrize("chunk_size", [None, 1, 4])
@pytest.mark.parametrize("ce_reduction", ["sum", "mean"])
def test_same_numbers_as_the_full_logits(device, passes, shape, pads, chunk_size, ce_reduction):
    *inputs, target = make(passes, shape, pads=pads, device=device)
    options = dict(ce_reduction=ce_reduction, label_smoothing=0.1, chunk_size=chunk_size)
    naive, ours = both(target, passes, **options)
    # 1e-9 is the promise; grad_output 7 stands for a loss that is not the last node
    expected = losses_and_grads(naive, inputs, scale=7.0)
    torch.testing.assert_close(losses_and_grads(ours, inputs, scale=7.0), expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("passes", [1, 2, 3])
def test_mean_without_smoothing_and_non_contiguous_hidden(device, passes):
    *inputs, target = make(passes, (3, 4), device=device)
    naive, ours = both(target, passes, reduction="mean")
    hidden = inputs[0].detach().transpose(0, 1).contiguous().transpose(0, 1).requires_grad_()
    assert not hidden.is_contiguous()
    expected = losses_and_grads(naive, inputs)
    got = losses_and_grads(ours, [hidden, *inputs[1:]])
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("passes", [1, 3])
def test_gradcheck(device, passes):
    hidden, weight, bias, target = make(passes, (2, 3), classes=5, dim=4, device=device)

    def loss(hidden, weight, bias):
        options = dict(alpha=2.0, passes=passes, bias=bias, label_smoothing=0.1, ignore_index=PAD)
        return linear_rdrop_loss(hidden, weight, target % 5, **options).loss

    assert torch.autograd.gradcheck(loss, (hidden, weight, bias))


@pytest.mark.parametrize("needed", [(True, False, False), (False, True, False), (False, False, True)])
def test_only_the_inputs_that_ask_get_a_gradient(device, needed):
    *inputs, target = make(2, (3, 5), device=device)
    naive, ours = both(target, 2)
    for tensor, need in zip(inputs, needed):
        tensor.requires_grad_(need)
    expected = losses_and_grads(naive, inputs)
    torch.testing.assert_close(losses_and_grads(ours, inputs), expected, rtol=1e-9, atol=1e-12)


def test_tied_weight_gets_both_gradients(device):
    _, weight, _, target = make(2, (3, 5), device=device)
    tokens = torch.randint(0, 13, (6, 5)).to(device)
    grads = []
    for function in (
        lambda h: rdrop_loss(h @ weight.t(), target, alpha=5.0, ignore_index=PAD),
        lambda h: linear_rdrop_loss(h, weight, target, alpha=5.0, ignore_index=PAD),
    ):
        hidden = F.dropout(F.embedding(tokens, weight), 0.0)
        grads.append(torch.autograd.grad(function(hidden).loss, weight)[0])
    torch.testing.assert_close(grads[1], grads[0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("passes", [1, 2])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_errs_by_its_roundings_only(device, dtype, passes):
    """Against float64 on the same inputs. u is the largest relative error of a rounding to the format.

    The gradient of the logits may be rounded once before a product, and the product once after it, which is
    added up in fp32: an entry of G^T h errs by at most u |G|^T |h| + u |G^T h|.
    """
    *inputs, target = make(passes, (8, 16), classes=101, dim=32, dtype=dtype, device=device)
    options = dict(alpha=5.0, passes=passes, ignore_index=PAD, label_smoothing=0.1)
    result = linear_rdrop_loss(inputs[0], inputs[1], target, bias=inputs[2], **options)
    grads = torch.autograd.grad(result.loss, inputs)

    hidden, weight, bias = (x.detach().double() for x in inputs)
    logits = F.linear(hidden, weight, bias).requires_grad_()
    truth = rdrop_loss(logits, target, **options)
    grad = torch.autograd.grad(truth.loss, logits)[0].flatten(0, -2)  # G
    states = hidden.flatten(0, -2)
    expected = (grad @ weight).view_as(hidden), grad.t() @ states, grad.sum(0)
    bounds = (grad.abs() @ weight.abs()).view_as(hidden), grad.abs().t() @ states.abs(), grad.abs().sum(0)
    u = torch.finfo(dtype).eps / 2
    in_fp32 = 1e-5  # of the logits, which are added up and exponentiated there
    for got, true, bound in zip(grads, expected, bounds):
        assert got.dtype == dtype
        assert ((got.double() - true).abs() <= (u + in_fp32) * bound + u * true.abs() + in_fp32).all()
    torch.testing.assert_close([x.double() for x in result], [x.detach() for x in truth], rtol=1e-5, atol=0)


def test_fp16_gradients_below_its_range_survive_until_the_loss_scale(device):
    """Entries of about 1e-9 are zero in fp16, but not once the loss scale has multiplied them."""
    *inputs, target = make(2, (2, 2), dtype=torch.float16, pads="none", device=device)
    small = [inputs[0], (inputs[1].detach() * 1e-7).requires_grad_(), inputs[2]]
    _, ours = both(target, 2)
    hidden_grad = losses_and_grads(ours, small, scale=2.0**12)[1][0]
    assert hidden_grad.ne(0).float().mean() > 0.9


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


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_no_positions_are_no_loss_in_half_precision(device, dtype):
    """Regression: on a GPU the largest of no fp16 gradients was asked for."""
    hidden = torch.zeros(0, 4, 6, dtype=dtype, device=device, requires_grad=True)
    weight = torch.zeros(13, 6, dtype=dtype, device=device, requires_grad=True)
    target = torch.zeros(0, 4, dtype=torch.long, device=device)
    loss = linear_rdrop_loss(hidden, weight, target, alpha=5.0).loss
    assert loss == 0
    assert all(grad.eq(0).all() for grad in torch.autograd.grad(loss, (hidden, weight)))


@pytest.mark.parametrize("passes", [1, 2])
def test_padded_positions_of_an_accelerator_add_nothing(device, passes):
    """Without a synchronisation the number of positions is only bounded: fillers make up the rest."""
    *inputs, target = make(passes, (3, 5), device=device)
    target[-1, -1] = 5  # the position that all fillers name counts itself
    naive, ours = both(target, passes, label_smoothing=0.1)
    expected = losses_and_grads(naive, inputs)
    torch.testing.assert_close(losses_and_grads(ours, inputs), expected, rtol=1e-9, atol=1e-10)


def test_autocast_projects_in_the_autocast_dtype(device):
    *inputs, target = make(2, (3, 5), dtype=torch.float, device=device)
    naive, ours = both(target, 2)
    with torch.autocast(device, torch.bfloat16):
        expected = losses_and_grads(naive, inputs)
        got = losses_and_grads(ours, inputs)
    torch.testing.assert_close(got[0], expected[0], rtol=2e-2, atol=1e-2)
    for grad, reference in zip(got[1], expected[1]):
        assert grad.dtype == torch.float32
        assert (grad - reference).norm() <= 3e-2 * reference.norm()


def test_no_gradient_is_computed_where_none_is_asked_for(device):
    *inputs, target = make(2, (3, 5), device=device)
    naive, ours = both(target, 2)
    with torch.no_grad():
        torch.testing.assert_close(tuple(ours(*inputs)), tuple(naive(*inputs)))


@pytest.mark.parametrize("shape", [(7,), (3, 5), (2, 3, 2), (0, 4)])
@pytest.mark.parametrize("size", [0, 4, 30])
def test_positions_of_an_accelerator_with_an_older_torch(device, monkeypatch, shape, size):
    """torch.nonzero_static came with torch 2.1, for CUDA later: what stands for it until then."""
    monkeypatch.setattr(compatibility, "_torch_is", lambda *version: False)
    mask = (torch.rand(shape, generator=torch.Generator().manual_seed(0)) < 0.5).to(device)
    size = min(size, mask.numel())
    expected = torch.full((size, mask.dim()), -1, device=device)
    true = mask.nonzero()[:size]
    expected[: len(true)] = true
    assert compatibility.nonzero_static(mask, size).equal(expected)


@pytest.mark.parametrize("old", [False, True])
def test_a_product_of_half_precision_adds_up_in_fp32(device, monkeypatch, old):
    if old:
        monkeypatch.setattr(compatibility, "_torch_is", lambda *version: False)
    a = torch.full((1, 4096), 1.0, dtype=torch.bfloat16, device=device)
    assert compatibility.mm(a, a.t() + 2**-7, torch.float32).item() == 4096 * (1 + 2**-7)
