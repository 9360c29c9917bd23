"""linear_rdrop_loss against rdrop_loss on the full logits."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from rdrop_fairseq import compatibility, fused, linear_rdrop_loss, rdrop_loss

PAD = 1


def make(passes, target_shape, classes=13, dim=6, dtype=torch.double, pads="some"):
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
    return *(x.to(dtype).requires_grad_() for x in (hidden, weight, bias)), target


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
def test_same_numbers_as_the_full_logits(passes, shape, pads, chunk_size, ce_reduction):
    *inputs, target = make(passes, shape, pads=pads)
    options = dict(ce_reduction=ce_reduction, label_smoothing=0.1, chunk_size=chunk_size)
    naive, ours = both(target, passes, **options)
    # 1e-9 is the promise; grad_output 7 stands for a loss that is not the last node
    expected = losses_and_grads(naive, inputs, scale=7.0)
    torch.testing.assert_close(losses_and_grads(ours, inputs, scale=7.0), expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("passes", [1, 2, 3])
def test_mean_without_smoothing_and_non_contiguous_hidden(passes):
    *inputs, target = make(passes, (3, 4))
    naive, ours = both(target, passes, reduction="mean")
    hidden = inputs[0].detach().transpose(0, 1).contiguous().transpose(0, 1).requires_grad_()
    assert not hidden.is_contiguous()
    expected = losses_and_grads(naive, inputs)
    got = losses_and_grads(ours, [hidden, *inputs[1:]])
    torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("passes", [1, 3])
def test_gradcheck(passes):
    hidden, weight, bias, target = make(passes, (2, 3), classes=5, dim=4)

    def loss(hidden, weight, bias):
        options = dict(alpha=2.0, passes=passes, bias=bias, label_smoothing=0.1, ignore_index=PAD)
        return linear_rdrop_loss(hidden, weight, target % 5, **options).loss

    assert torch.autograd.gradcheck(loss, (hidden, weight, bias))


@pytest.mark.parametrize("needed", [(True, False, False), (False, True, False), (False, False, True)])
def test_only_the_inputs_that_ask_get_a_gradient(needed):
    *inputs, target = make(2, (3, 5))
    naive, ours = both(target, 2)
    for tensor, need in zip(inputs, needed):
        tensor.requires_grad_(need)
    expected = losses_and_grads(naive, inputs)
    torch.testing.assert_close(losses_and_grads(ours, inputs), expected, rtol=1e-9, atol=1e-12)


def test_tied_weight_gets_both_gradients():
    _, weight, _, target = make(2, (3, 5))
    tokens = torch.randint(0, 13, (6, 5))
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
def test_low_precision_is_as_good_as_the_naive_one(dtype, passes):
    """Largest gradient error against float64, of the largest entry: at most naive's plus 1e-3."""
    if dtype == torch.float16 and torch.__version__ < "2.2":
        pytest.skip("this torch multiplies no fp16 matrices on a CPU")
    *inputs, target = make(passes, (8, 16), classes=101, dim=32, dtype=dtype)
    inputs = [(x.detach() * 0.3).requires_grad_() for x in inputs]
    naive, ours = both(target, passes, label_smoothing=0.1)
    truth = losses_and_grads(naive, [x.detach().double().requires_grad_() for x in inputs])
    low, got = losses_and_grads(naive, inputs), losses_and_grads(ours, inputs)
    for true_grad, low_grad, grad in zip(truth[1], low[1], got[1]):
        assert grad.dtype == dtype
        scale = true_grad.abs().max()
        naive_error = (low_grad.double() - true_grad).abs().max() / scale
        assert (grad.double() - true_grad).abs().max() / scale <= naive_error + 1e-3
    assert abs(got[0][0] / truth[0][0] - 1) <= abs(low[0][0] / truth[0][0] - 1) + 1e-3


def test_fp16_gradients_below_its_range_survive_until_the_loss_scale():
    """Entries of about 1e-9 are zero in fp16, but not once the loss scale has multiplied them."""
    *inputs, target = make(2, (2, 2), dtype=torch.float16, pads="none")
    small = [inputs[0], (inputs[1].detach() * 1e-7).requires_grad_(), inputs[2]]
    _, ours = both(target, 2)
    hidden_grad = losses_and_grads(ours, small, scale=2.0**12)[1][0]
    assert hidden_grad.ne(0).float().mean() > 0.9


@pytest.mark.parametrize("passes", [1, 2])
def test_padded_positions_of_an_accelerator_add_nothing(monkeypatch, passes):
    """Without a synchronisation the number of positions is only bounded: fillers make up the rest."""
    *inputs, target = make(passes, (3, 5))
    target[-1, -1] = 5  # the position that all fillers name counts itself
    naive, ours = both(target, passes, label_smoothing=0.1)

    def with_fillers(counted, upper_bound):
        return compatibility.nonzero_static(counted, counted.numel()), True

    expected = losses_and_grads(naive, inputs)
    monkeypatch.setattr(fused, "_positions", with_fillers)
    torch.testing.assert_close(losses_and_grads(ours, inputs), expected, rtol=1e-9, atol=1e-10)


def test_autocast_projects_in_the_autocast_dtype():
    *inputs, target = make(2, (3, 5), dtype=torch.float)
    naive, ours = both(target, 2)
    with torch.autocast("cpu", torch.bfloat16):
        expected = losses_and_grads(naive, inputs)
        got = losses_and_grads(ours, inputs)
    torch.testing.assert_close(got[0], expected[0], rtol=2e-2, atol=1e-2)
    for grad, reference in zip(got[1], expected[1]):
        assert grad.dtype == torch.float32
        assert (grad - reference).norm() <= 3e-2 * reference.norm()


def test_no_gradient_is_computed_where_none_is_asked_for():
    *inputs, target = make(2, (3, 5))
    naive, ours = both(target, 2)
    with torch.no_grad():
        torch.testing.assert_close(tuple(ours(*inputs)), tuple(naive(*inputs)))


@pytest.mark.parametrize("shape", [(7,), (3, 5), (2, 3, 2), (0, 4)])
@pytest.mark.parametrize("size", [0, 4, 30])
def test_positions_of_an_accelerator_with_an_older_torch(monkeypatch, shape, size):
    """torch.nonzero_static came with torch 2.1, for CUDA later: what stands for it until then."""
    monkeypatch.setattr(compatibility, "_torch_is", lambda *version: False)
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(0)) < 0.5
    size = min(size, mask.numel())
    expected = torch.full((size, mask.dim()), -1)
    true = mask.nonzero()[:size]
    expected[: len(true)] = true
    assert compatibility.nonzero_static(mask, size).equal(expected)


def test_a_gpu_product_with_an_older_torch_adds_up_in_fp32(monkeypatch):
    monkeypatch.setattr(compatibility, "_torch_is", lambda *version: False)
    a = torch.full((1, 4096), 1.0, dtype=torch.bfloat16)
    assert compatibility.mm(a, a.t() + 2**-7, torch.float32).item() == 4096 * (1 + 2**-7)
