"""What the losses do beyond the formula, which test_loss_properties.py holds them to."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from rdrop_fairseq import compute_kl_loss, label_smoothed_nll_loss, linear_rdrop_loss, rdrop_loss
from rdrop_fairseq.losses import compatibility
from rdrop_fairseq.losses.fused import Options, linear_rdrop_sums

PAD = 1
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])


def make(passes=2, target_shape=(3, 5), classes=13, dim=6, dtype=torch.double, device="cpu"):
    """Hidden states, weight and bias, and targets with padding."""
    torch.manual_seed(0)
    batch, *steps = target_shape
    shapes = (passes * batch, *steps, dim), (classes, dim), (classes,)
    inputs = [torch.randn(shape, dtype=torch.double).to(device, dtype).requires_grad_() for shape in shapes]
    target = torch.randint(2, classes, target_shape)
    target[torch.rand(target_shape) < 0.3] = PAD
    return *inputs, target.to(device)


def logits_of(hidden, weight):
    """In their dtype, by a product that every torch has."""
    exact = torch.promote_types(hidden.dtype, torch.float32)
    return (hidden.to(exact) @ weight.to(exact).t()).to(hidden.dtype)


@pytest.mark.parametrize("ce_reduction", ["sum", "mean"])
@pytest.mark.parametrize("passes", [1, 2, 3])
def test_gradcheck(passes, ce_reduction, device):
    """The gradient is that of finite differences, in chunks too."""
    *inputs, target = make(passes, device=device)
    options = {"alpha": 2.0, "passes": passes, "label_smoothing": 0.1, "ignore_index": PAD, "chunk_size": 7}
    options["ce_reduction"] = ce_reduction

    def loss(hidden, weight, bias):
        return linear_rdrop_loss(hidden, weight, target, bias=bias, **options).loss

    assert torch.autograd.gradcheck(loss, inputs)


@DTYPES
def test_equal_passes_do_not_diverge(device, dtype):
    hidden, weight, _, target = make(passes=1, dtype=dtype, device=device)
    logits = 3 * logits_of(hidden, weight)
    assert compute_kl_loss(logits, logits).item() == 0
    assert rdrop_loss(torch.cat([logits, logits]), target, alpha=5, ignore_index=PAD).kl_loss.item() == 0


def test_kl_loss_is_that_of_torch_with_every_reduction(device):
    hidden, weight, _, target = make(device=device)
    p, q = logits_of(hidden, weight).chunk(2)
    mask = target.eq(PAD)
    log_p, log_q = p.log_softmax(-1), q.log_softmax(-1)
    both_ways = sum(
        F.kl_div(a, b, log_target=True, reduction="none") for a, b in ((log_q, log_p), (log_p, log_q))
    )
    each = both_ways.sum(-1).masked_fill(mask, 0) / 2
    total = each.sum()
    means = {"mean": total / (~mask).sum(), "batchmean": total / 3}
    for reduction, expected in {"none": each, "sum": total, **means}.items():
        kl = compute_kl_loss(p, q, mask, reduction=reduction)
        torch.testing.assert_close(kl, expected)
        grads = (torch.autograd.grad(x.sum(), hidden, retain_graph=True)[0] for x in (kl, expected))
        torch.testing.assert_close(*grads)
    torch.testing.assert_close(compute_kl_loss(p[0, 0], q[0, 0]), compute_kl_loss(p[:1, :1], q[:1, :1]))


def test_cross_entropy_is_that_of_fairseq(device):
    """label_smoothed_nll_loss and both losses with one pass, whatever alpha, are fairseq's loss.

    Regression: one pass was refused, and then asked for an alpha, which plays no part in it.
    """
    criterion = pytest.importorskip("fairseq.criterions.label_smoothed_cross_entropy")
    hidden, weight, _, target = make(passes=1, dtype=torch.float, device=device)
    logits = logits_of(hidden, weight)
    lprobs = logits.log_softmax(-1)
    theirs = criterion.label_smoothed_nll_loss(lprobs.flatten(0, 1), target.flatten(), 0.1, ignore_index=PAD)
    ours = label_smoothed_nll_loss(lprobs, target, epsilon=0.1, ignore_index=PAD)
    torch.testing.assert_close(ours, theirs)
    (expected,) = torch.autograd.grad(theirs[0], hidden, retain_graph=True)
    for alpha in ({}, {"alpha": 0.0}, {"alpha": 5.0}):
        options = dict(passes=1, label_smoothing=0.1, ignore_index=PAD, **alpha)
        fused = linear_rdrop_loss(hidden, weight, target, **options)
        for ours in (rdrop_loss(logits, target, **options), fused):
            torch.testing.assert_close(ours[:2], theirs, rtol=1e-6, atol=0)
            assert ours.kl_loss == 0
            (grad,) = torch.autograd.grad(ours.loss, hidden, retain_graph=True)
            torch.testing.assert_close(grad, expected)


@DTYPES
def test_nothing_to_count_has_gradient_zero(device, dtype):
    """By reduction "mean", and by a user's own division by the number of positions, which are NaN.

    Regression: the gradient was NaN, 0 times infinity, and so were all parameters after the update.
    """
    hidden, weight, bias, target = make(dtype=dtype, device=device)
    target.fill_(PAD)
    logits = logits_of(hidden, weight)
    p, q = logits.chunk(2)
    options = dict(alpha=5.0, label_smoothing=0.1, ignore_index=PAD)
    by_nothing = dict(ignore_index=PAD, reduction="mean")
    losses = [
        linear_rdrop_loss(hidden, weight, target, bias=bias, reduction="mean", **options).loss,
        linear_rdrop_loss(hidden, weight, target, bias=bias, **options).loss / target.ne(PAD).sum(),
        rdrop_loss(logits, target, reduction="mean", **options).loss,
        *label_smoothed_nll_loss(p.float().log_softmax(-1), target, epsilon=0.1, **by_nothing),
        compute_kl_loss(p, q, target.eq(PAD), reduction="mean"),
    ]
    for loss in losses:
        assert loss.isnan()
        for grad in torch.autograd.grad(loss, (hidden, weight), retain_graph=True):
            assert grad.eq(0).all()


def test_small_gradients_of_the_logits_keep_their_precision_in_fp16(device):
    """Where the model is sure, all are near 1e-7, of which fp16 alone has one binary digit.

    So have those of the states, until the loss scale has multiplied them.
    """
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
    *leaves, target = make(device=device)
    hidden, weight, bias = leaves
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
    ties = ["22222", "03030", "03300", "10010", "00009", "99999"]
    second = torch.tensor([[float(digit) for digit in row] for row in ties])
    hidden = torch.cat([torch.zeros(6, 5), second]).to(device)  # 2 passes
    options = Options(alpha=1.0, passes=2, label_smoothing=0.1, ignore_index=-100, ce_scale=1.0)
    correct = linear_rdrop_sums(hidden, torch.eye(5, device=device), None, target, options)[3]
    assert correct == hidden.view(2, 6, 5).argmax(-1).eq(target).sum() == 4


def test_what_is_ignored_may_be_nan(device):
    """The states of pads, as attention with nothing to attend to leaves them, are in no product."""
    hidden, weight, bias, target = make(device=device)
    target[:, -2:] = PAD
    with torch.no_grad():
        hidden[:, -2:] = torch.nan
    loss = linear_rdrop_loss(hidden, weight, target, bias=bias, alpha=5.0, ignore_index=PAD).loss
    assert loss.isfinite()
    for grad in torch.autograd.grad(loss, (hidden, weight, bias)):
        assert grad.isfinite().all()


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("passes", [1, 2])
@pytest.mark.parametrize(("label_smoothing", "masked_target"), [(0.0, True), (0.1, False), (0.1, True)])
def test_a_masked_target_or_smoothing_costs_an_infinite_loss(
    device, fused, passes, label_smoothing, masked_target
):
    """The loss is infinite as in torch's cross_entropy, no NaN; the parts without the class stay finite."""
    hidden, weight, bias, target = make(passes, dtype=torch.float, device=device)
    bias.data[0] = -torch.inf
    if masked_target:
        target[1, 1] = 0
    options = dict(alpha=2.0, passes=passes, label_smoothing=label_smoothing, ignore_index=PAD)
    if fused:
        result = linear_rdrop_loss(hidden, weight, target, bias=bias, **options)
    else:
        result = rdrop_loss(F.linear(hidden, weight, bias), target, **options)
    assert result.loss == torch.inf
    assert result.nll_loss == torch.inf if masked_target else result.nll_loss.isfinite()
    assert result.kl_loss.isfinite()


def test_masked_in_one_pass_only_diverges_infinitely(device):
    """The KL is infinite at that position and nowhere else; at an ignored position it counts for nothing."""
    torch.manual_seed(0)
    logits = torch.randn(3 * 2, 4, 9).to(device)
    logits[:, 0, 3] = -torch.inf
    logits[0, 2, 5] = -torch.inf  # pass 0, sentence 0
    logits.requires_grad_()
    target = torch.full((2, 4), 2, device=device)
    options = dict(passes=3, ignore_index=PAD)
    each = rdrop_loss(logits, target, alpha=1.0, reduction="none", **options)
    infinite = torch.zeros(2, 4, dtype=torch.bool, device=device)
    infinite[0, 2] = True
    assert each.kl_loss.isinf().equal(infinite)
    assert each.loss.isinf().equal(infinite)
    assert compute_kl_loss(*logits.chunk(3)[:2]) == torch.inf
    assert rdrop_loss(logits, target, alpha=0.0, **options).loss.isfinite()
    target[0, 2] = PAD
    ignored = rdrop_loss(logits, target, alpha=1.0, **options)
    assert ignored.loss.isfinite()
    assert torch.autograd.grad(ignored.loss, logits)[0].isfinite().all()


def test_autocast_projects_in_the_autocast_dtype(device):
    """Losses and gradients under bf16 autocast are those of F.linear under it, and gradients are in fp32."""
    hidden, weight, bias, target = make(dtype=torch.float, device=device)
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


def test_a_mask_under_autocast(device):
    """The mask -1e9 gives nearly the losses of fp32, though it is -inf in fp16 and finite in bf16."""
    hidden, weight, bias, target = make(dtype=torch.float, device=device)
    bias.data[0] = -1e9
    options = dict(bias=bias, alpha=2.0, ignore_index=PAD)
    exact = linear_rdrop_loss(hidden, weight, target, **options)
    with torch.autocast(device, torch.bfloat16):
        low = linear_rdrop_loss(hidden, weight, target, **options)
    torch.testing.assert_close(tuple(low), tuple(exact), rtol=3e-2, atol=1e-2)


@pytest.mark.parametrize(("length", "size"), [(0, 4), (7, 0), (15, 4), (15, 15)])
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
