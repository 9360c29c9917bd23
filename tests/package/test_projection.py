"""What every framework's side shares: the stand-in, the probe of what follows a projection, and repeat."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from rdrop_fairseq.projection import is_plain, probe, repeat, scale_and_bias, stand_in, unchanged

DTYPES = [torch.float32, torch.bfloat16, torch.float16]


class Model(nn.Module):
    """Dropout, BatchNorm, a counter and a projection, whose output ``after`` changes."""

    def __init__(self, after=lambda logits: logits, calls=1, classes=50):
        super().__init__()
        self.norm = nn.BatchNorm1d(8)
        self.dropout = nn.Dropout(0.5)
        self.layer = nn.Linear(8, classes)
        self.after, self.calls = after, calls
        self.updates, self.seen = 0, []

    def forward(self, hidden):
        self.updates += 1
        self.seen.append(self.updates)
        hidden = self.dropout(self.norm(hidden.transpose(1, 2)).transpose(1, 2))
        for _ in range(self.calls):
            logits = self.layer(hidden)
        return self.after(logits) if self.calls else hidden


def measured(after, dtype=torch.float32):
    model = Model(lambda logits: after(logits.to(dtype)))
    seen = probe(model.layer, lambda: model(torch.randn(2, 5, 8)))
    assert seen.hidden.shape == (2, 5, 8)
    return scale_and_bias(seen.numbers.to(dtype), seen.output)


BIAS = torch.linspace(-3, 3, 50)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [1.0, 0.0625, 512**-0.5])
@pytest.mark.parametrize("bias", [None, BIAS, BIAS.masked_fill(BIAS > 2.5, -torch.inf)])
def test_scale_and_bias(dtype, scale, bias):
    """They are measured to the rounding of the dtype; a masked class has a bias of -inf."""
    eps = torch.finfo(dtype).eps
    got, got_bias = measured(lambda x: x * scale if bias is None else x * scale + bias.to(dtype), dtype)
    assert got == pytest.approx(scale, rel=4 * eps)
    if bias is None:
        assert got_bias is None
    else:
        torch.testing.assert_close(got_bias, bias, rtol=eps, atol=eps)


OTHERS = {
    "bent": lambda x: 30 * torch.tanh(x / 30),
    "clamped": lambda x: x.clamp(-50, 50),
    "relu": torch.relu,
    "centred": lambda x: x - x.mean(-1, keepdim=True),
    "normalised": lambda x: x.log_softmax(-1),
    "permuted": lambda x: x.flip(-1),
    "scaled by class": lambda x: x * torch.linspace(1, 2, 50).to(x.dtype),
    "masked": lambda x: torch.full_like(x, -torch.inf),
    "not a number": lambda x: x * torch.nan,
    "fewer positions": lambda x: x[:, :2],
    "in a tuple": lambda x: (x,),
    "transposed": lambda x: x.transpose(1, 2),
}


@pytest.mark.parametrize("name", OTHERS)
def test_anything_else_is_refused(name):
    for dtype in DTYPES:
        with pytest.raises(ValueError, match=r"does more to its logits|masks all classes|another shape"):
            measured(OTHERS[name], dtype)


@pytest.mark.parametrize("calls", [0, 2])
def test_a_projection_is_called_once(calls):
    model = Model(calls=calls)
    with pytest.raises(ValueError, match=f"calls its output projection {calls} times"):
        probe(model.layer, lambda: model(torch.randn(2, 5, 8)))
    assert is_plain(model.layer)


def test_a_forward_of_the_layer_s_own_comes_back():
    """Regression: one that was put on the instance was ignored, and then deleted."""
    layer = nn.Linear(2, 3)
    layer.forward = own = lambda hidden: hidden
    assert not is_plain(layer)
    with stand_in(layer, lambda hidden: hidden + 1):
        assert layer(torch.zeros(2)).eq(1).all()
    assert layer.forward is own


def test_a_forward_leaves_no_trace():
    """Random states, BatchNorm, counters and a weight that a hook replaces are as before."""

    def add_to_bias(norm, _):
        norm.bias.data += 1

    model, inputs = Model(), torch.randn(2, 5, 8)
    model.layer.register_forward_pre_hook(lambda layer, _: setattr(layer.weight, "data", layer.weight * 2))
    model.norm.register_forward_pre_hook(add_to_bias)

    def state():
        values = {name: value.tolist() for name, value in model.state_dict().items()}
        return values, model.updates, [*model.seen], model.training

    def draws():
        return random.random(), np.random.random(), torch.rand(3).tolist()

    before, storage, seen = state(), model.layer.weight.data_ptr(), model.seen
    with unchanged(model):
        expected = draws()
        assert model(inputs).requires_grad  # for hooks of the logits' gradient
        model.eval()
        assert state() != before
    assert state() == before
    assert draws() == expected
    assert model.layer.weight.data_ptr() == storage
    assert model.seen is seen


def test_a_list_as_long_as_the_batch_has_a_sentence_in_each_item():
    """Regression: each sentence of the list was repeated along time, where its length allowed it."""
    sentences = [torch.arange(3), torch.arange(4), torch.arange(3)]
    repeated = repeat({"tokens": sentences, "more": [torch.zeros(3, 2), 5]}, 2, 3, "it")
    assert [item.tolist() for item in repeated["tokens"]] == [item.tolist() for item in sentences] * 2
    assert repeated["more"][0].shape == (6, 2)
    assert repeated["more"][1] == 5
    for items in ([torch.arange(3)] * 3, (torch.zeros(3, 2),) * 3, ["a", "b", "c"]):
        with pytest.raises(ValueError, match="cannot repeat it: its 3 items may be sentences, or not"):
            repeat(items, 2, 3, "it")
    with pytest.raises(ValueError, match=r"cannot repeat it\[0\]: its dimension 0 is 3"):
        repeat(sentences, 2, 4, "it")
