"""The public losses answer wrong arguments by a ValueError that names the argument and what was given."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from rdrop_fairseq import compute_kl_loss, label_smoothed_nll_loss, linear_rdrop_loss, rdrop_loss

V, D = 5, 3
torch.manual_seed(0)
GOOD = {
    "logits": torch.randn(4, 2, V),
    "hidden": torch.randn(4, 2, D),
    "weight": torch.randn(V, D),
    "bias": torch.randn(V),
    "target": torch.randint(V, (2, 2)),
    "p": torch.randn(2, 2, V),
    "q": torch.randn(2, 2, V),
    "pad_mask": torch.zeros(2, 2, dtype=torch.bool),
    "lprobs": torch.randn(2, 2, V).log_softmax(-1),
    "alpha": 1.0,
    "epsilon": 0.1,
}
FUNCTIONS = {
    rdrop_loss: ("logits", "target", "alpha"),
    linear_rdrop_loss: ("hidden", "weight", "target", "bias", "alpha"),
    compute_kl_loss: ("p", "q", "pad_mask"),
    label_smoothed_nll_loss: ("lprobs", "target", "epsilon"),
}


def call(function, **change):
    return function(**{**{name: GOOD[name] for name in FUNCTIONS[function]}, **change})


# Of each kind of argument: what it has to refuse, each by a check of its own.
NO_FLOATS = [[[0.5] * V] * 4, torch.zeros(4, 2, V, dtype=torch.long)]
NO_NUMBERS = ["1", True, math.nan, -1.0, 10**400, torch.tensor(0.5)]
NO_INTEGERS = [2.0, True, 0, 2**63, torch.tensor(2)]
WRONG = {
    "logits": [*NO_FLOATS, torch.zeros(()), torch.zeros(3, 2, V)],
    "hidden": [None, torch.zeros(4, 2, D).double()],
    "weight": [None, torch.zeros(D), torch.zeros(V, D).half()],
    "bias": ["bias", torch.zeros(V + 1), torch.zeros(V).double()],
    "target": [
        [0, 1],
        torch.zeros(2, 2, dtype=torch.int32),
        torch.zeros(2, 3, dtype=torch.long),
        torch.full((2, 2), V),
        torch.full((2, 2), -1),
    ],
    "p": [None, torch.zeros(2, 2, V).double()],
    "q": [None, torch.zeros(2, 1, V)],
    "pad_mask": [torch.zeros(2, 2), torch.zeros(2, dtype=torch.bool)],
    "lprobs": [None],
    "alpha": [*NO_NUMBERS, 1.1e30],
    "label_smoothing": ["1", 1],
    "epsilon": [1.5],
    "passes": [*NO_INTEGERS, 3],
    "chunk_size": [0],
    "ignore_index": [1.5],
    "ce_reduction": ["none"],
    "reduction": [None, ["sum"]],
}
# An argument that is wrong beside another one may be answered with the name of the other.
ALSO_NAMED = {
    "passes": "logits|hidden",
    "target": "logits|hidden",
    "p": "q",
    "q": "p and q",
    "logits": "target",
    "hidden": "weight",
}
ARGUMENTS = {
    function: [*names, *(n for n in function.__kwdefaults__ or {} if n in WRONG and n not in names)]
    for function, names in FUNCTIONS.items()
}
# One check serves an argument of several functions: all values go to the first of them, one to the others.
FIRST = {name: function for function in reversed(ARGUMENTS) for name in ARGUMENTS[function]}
CASES = [(function, name) for function, names in ARGUMENTS.items() for name in names]


@pytest.mark.parametrize(("function", "name"), CASES)
def test_wrong_arguments_are_named(function, name):
    """Regression: integer logits, ignore_index 1.5, alpha 1e308 and a bias of another dtype were taken."""
    named = rf"^({name}|{ALSO_NAMED.get(name, name)}) must .*, got "
    for value in WRONG[name] if FIRST[name] is function else WRONG[name][:1]:
        with pytest.raises(ValueError, match=named) as error:
            call(function, **{name: value})
        message = str(error.value)
        assert "\n" not in message
        assert isinstance(value, torch.Tensor) or str(value)[:80] in message


def test_the_message_says_what_is_wanted():
    with pytest.raises(ValueError, match=r"reduction must be one of 'sum', 'mean', got 'max'"):
        call(linear_rdrop_loss, reduction="max")
    with pytest.raises(ValueError, match=r"must have shape .* passes = 4"):
        call(linear_rdrop_loss, passes=4)


def test_the_table_names_every_argument():
    """A new argument needs a row."""
    for function, names in ARGUMENTS.items():
        code = function.__code__
        parameters = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        assert set(names) == set(parameters), function.__name__


@pytest.mark.parametrize(
    ("function", "change"),
    [
        (linear_rdrop_loss, {"passes": np.int64(2), "chunk_size": np.int32(1), "ignore_index": np.int8(-1)}),
        (linear_rdrop_loss, {"alpha": np.float32(1), "label_smoothing": Fraction(0)}),
        (rdrop_loss, {"alpha": 1, "passes": np.uint8(2), "label_smoothing": np.float64(0)}),
        (rdrop_loss, {"alpha": np.float16(1)}),
    ],
)
def test_what_counts_as_a_number_is_taken(function, change, recwarn):
    """Regression: passes=np.int64(2) was refused; alpha=np.float32(1) brought a warning of an overflow."""
    torch.testing.assert_close(call(function, **change), call(function))
    assert not recwarn.list


def test_the_largest_alpha_stays_finite():
    hidden = GOOD["hidden"].clone().requires_grad_()
    result = call(linear_rdrop_loss, hidden=hidden, alpha=1e30)
    assert result.loss.isfinite()
    assert torch.autograd.grad(result.loss, hidden)[0].isfinite().all()


def test_a_single_class_is_certain():
    target, options = torch.zeros(2, dtype=torch.long), dict(alpha=1.0, label_smoothing=0.1)
    results = [
        rdrop_loss(torch.randn(4, 1), target, **options),
        linear_rdrop_loss(torch.randn(4, D), torch.randn(1, D), target, **options),
    ]
    torch.testing.assert_close(torch.tensor(results), torch.zeros(2, 3), rtol=0, atol=1e-6)


def test_autocast_may_mix_dtypes():
    """Weights in fp32 may meet hidden states of the autocast dtype."""
    with torch.autocast("cpu", torch.bfloat16):
        mixed = call(linear_rdrop_loss, hidden=GOOD["hidden"].bfloat16())
        torch.testing.assert_close(tuple(mixed), tuple(call(linear_rdrop_loss)))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_value_is_read_by_the_host_off_the_cpu(function):
    """Tensors without data raise where the host asks for a value; a GPU would have to wait there."""
    if torch.__version__ < "2.10":
        pytest.skip("older operators know less of tensors without data")
    tensors = {n: GOOD[n].to("meta") for n in FUNCTIONS[function] if isinstance(GOOD[n], torch.Tensor)}
    inputs = [tensor.requires_grad_() for tensor in tensors.values() if tensor.is_floating_point()]
    result = call(function, reduction="mean", **tensors)
    loss = result if isinstance(result, torch.Tensor) else result[0]
    torch.autograd.grad(loss, inputs)
    with pytest.raises((RuntimeError, NotImplementedError), match="meta"):
        loss.item()
