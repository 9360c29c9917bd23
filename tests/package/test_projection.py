"""What every framework's side shares: the stand-in, the probe of what follows a projection, and repeat."""

import pytest
import torch
from torch import nn

from rdrop_fairseq.projection import is_plain, probe, repeat, scale_and_bias, stand_in

DTYPES = [torch.float32, torch.bfloat16, torch.float16]


def measured(after, dtype=torch.float32):
    """Of a model that is a projection, and what ``after`` makes of its output."""
    layer, hidden = nn.Linear(8, 50), torch.randn(2, 5, 8)
    seen = probe(layer, lambda: after(layer(hidden).to(dtype)))
    assert seen.hidden is hidden
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


def test_a_forward_of_the_layer_s_own_comes_back():
    """Regression: one that was put on the instance was ignored, and then deleted."""
    layer = nn.Linear(2, 3)
    layer.forward = own = lambda hidden: hidden
    assert not is_plain(layer)
    with stand_in(layer, lambda hidden: hidden + 1):
        assert layer(torch.zeros(2)).eq(1).all()
    assert layer.forward is own


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
