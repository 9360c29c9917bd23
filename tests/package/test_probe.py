"""What stands behind a fairseq model's projection is looked at: the fused loss is not for all."""

import random
import types
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import MODELS, TRANSFORMER, Setup

pytest.importorskip("fairseq")

from fairseq.logging import metrics

from rdrop_fairseq.errors import RDropError


def output_layer(function):
    """Of the decoder instance's own: ``function(projection, features)``."""

    def change(model):
        model.decoder.output_layer = partial(function, model.decoder.output_projection)

    return change


def behind(function):
    """An output_layer that changes what the projection returns."""
    return output_layer(lambda projection, features: function(projection(features)))


def called(times):
    def of_its_own(projection, features):
        for _ in range(times):
            projection(features)
        return 2 * F.linear(features, projection.weight)

    return output_layer(of_its_own)


def halved(module, name):
    """A get_normalized_probs of the instance's own, of the model or of its decoder."""

    def change(model):
        def probs(net_output, log_probs, sample=None):
            return (net_output[0] / 2).log_softmax(-1)

        setattr(model if module == "model" else model.decoder, name, probs)

    return change


def training_only(model):
    def forward(self, *args, **kwargs):
        logits, extra = type(self).forward(self, *args, **kwargs)
        return logits * 0.5 if self.training else logits, extra

    model.decoder.forward = types.MethodType(forward, model.decoder)


def instance_forward(model):
    layer = model.decoder.output_projection
    layer.forward = lambda features: 0.5 * F.linear(features, layer.weight)


def hook(register, function):
    return lambda model: getattr(model.decoder.output_projection, register)(function)


def clamp_gradient(logits):
    logits.register_hook(lambda gradient: gradient.clamp(-0.1, 0.1))
    return logits


CHANGED = "changes what its output projection returns"
ITSELF = "makes its targets or probabilities itself"
CHANGES = {
    "in place, far out": (behind(lambda x: x.clamp_(-1000, 1000)), CHANGED),
    "in training only": (training_only, CHANGED),
    "a hook": (hook("register_forward_hook", lambda *parts: parts[2] * 0.5), CHANGED),
    "a hook of the gradient": (behind(clamp_gradient), CHANGED),
    "a hook of the backward pass": (hook("register_full_backward_hook", lambda *_: None), CHANGED),
    "the projection's own forward": (instance_forward, "no plain output projection"),
    "the model's get_normalized_probs": (halved("model", "get_normalized_probs"), ITSELF),
    "the model's scriptable one": (halved("model", "get_normalized_probs_scriptable"), ITSELF),
    "the decoder's get_normalized_probs": (halved("decoder", "get_normalized_probs"), ITSELF),
    "never called": (called(0), "calls its output projection 0 times"),
    "called twice": (called(2), "calls its output projection 2 times"),
    "other positions": (
        output_layer(lambda projection, x: projection(x[:, :1]).expand(-1, x.size(1), -1)),
        "cannot be probed .*expanded size",
    ),
}


def setups(data, *paths, flags=TRANSFORMER):
    """One for each kind of loss."""
    return [Setup(data, flags, extra=["--rdrop-loss", path]) for path in paths]


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_not_the_projection_s_output_takes_the_plain_loss(data_bin, caplog, name):
    """Regression: it was trained with another objective, by a gradient near 0, and nothing said so."""
    caplog.set_level("INFO")
    change, reason = CHANGES[name]
    auto, plain, fused = setups(data_bin, "auto", "plain", "fused")
    change(auto.model)
    own = dict(vars(auto.model.decoder.output_projection))
    sample = auto.uneven_batch()
    got, expected = auto.train_step(sample), plain.train_step(sample, auto.model)
    torch.testing.assert_close(got, expected, rtol=0, atol=0)
    assert f"plain loss ({type(auto.model).__name__} " in caplog.text
    with pytest.raises(RDropError, match=f"--rdrop-loss fused: .*({reason}).*; use auto or plain") as error:
        fused.train_step(sample, auto.model)
    assert "\n" not in str(error.value)
    assert vars(auto.model.decoder.output_projection) == own


@pytest.mark.parametrize("forward", ["concat", "separate"])
def test_a_model_may_look_at_its_logits(data_bin, forward):
    extra = ["--rdrop-forward", forward, "--rdrop-loss", "fused"]
    setup = Setup(data_bin, TRANSFORMER, extra=extra)
    shapes = []
    expected = Setup(data_bin, TRANSFORMER, extra=extra).train_step(setup.uneven_batch(), setup.model)
    behind(lambda logits: shapes.append((logits.dim(), logits.size(-1))) or logits)(setup.model)
    got = setup.train_step(setup.uneven_batch())
    torch.testing.assert_close(got, expected, rtol=0, atol=0)
    assert set(shapes) == {(3, setup.model.decoder.output_projection.out_features)}


@pytest.mark.parametrize("change", [lambda x: x * 0.5, lambda x: x.mul_(0.5)], ids=["anew", "in place"])
@pytest.mark.parametrize("forward", ["concat", "separate"])
def test_a_change_after_the_first_step_ends_the_training(data_bin, forward, change):
    """Regression: the objective became another one in silence."""
    setup = Setup(data_bin, TRANSFORMER, extra=["--rdrop-forward", forward])
    sample = setup.uneven_batch()
    setup.train_step(sample)
    behind(change)(setup.model)
    with pytest.raises(RDropError, match="train it with --rdrop-loss plain"):
        setup.train_step(sample)
    assert "forward" not in vars(setup.model.decoder.output_projection)


def test_a_model_in_shards_is_refused(data_bin):
    """A wrapper of fairscale's name: the model in it has only a part of its parameters at hand."""
    setup = Setup(data_bin, TRANSFORMER)
    wrapper = type("FullyShardedDataParallel", (torch.nn.Module,), {})()
    wrapper.module = setup.model
    with pytest.raises(RDropError, match="cannot look into a model in shards"):
        setup.train_step(setup.batch(), wrapper)


def test_every_model_is_looked_at_by_itself(data_bin):
    """A task may have several, as multilingual_translation: the choice for the first one is not for all."""
    setup, plain = setups(data_bin, "auto", "plain")
    sample = setup.uneven_batch()
    setup.train_step(sample)
    behind(lambda x: x * 0.5)(plain.model)
    expected = plain.train_step(sample)
    torch.testing.assert_close(setup.train_step(sample, plain.model), expected, rtol=0, atol=0)


@pytest.mark.parametrize("loss", ["auto", "plain"])
def test_a_model_may_have_tensors_that_cannot_be_written(data_bin, loss):
    """Regression: a mask made by expand() ended the first step in torch's "unsupported operation"."""
    setup, other = setups(data_bin, loss, loss)
    sample = setup.uneven_batch()
    expected = setup.train_step(sample)[0]
    other.model.register_buffer("mask", torch.ones(1, 4).expand(4, 4))
    torch.testing.assert_close(other.train_step(sample)[0], expected, rtol=0, atol=0)


NOISY = [*TRANSFORMER, *"--quant-noise-pq 0.3 --encoder-layerdrop 0.2 --dropout 0.2".split()]
CONVOLUTIONS = MODELS["lightconv"][0].split()


@pytest.mark.parametrize("loss", ["auto", "plain"])
@pytest.mark.parametrize("flags", [NOISY, CONVOLUTIONS], ids=["noisy", "lightconv"])
def test_looking_leaves_no_trace(data_bin, flags, loss):
    """Not in random numbers, parameters, buffers, attributes, modes, meters or gradients. (Quant-noise sets
    weights.)
    """
    (setup,) = setups(data_bin, loss, flags=flags)
    model, sample = setup.model.train(), setup.uneven_batch()
    layer = model.encoder.layers[0]
    layer.fc1.register_buffer("updates", torch.zeros(()))
    layer.calls, layer.seen = 0, []
    seen, storage = layer.seen, layer.fc1.weight.data_ptr()

    def leave_traces(*_):
        layer.fc1.updates += 1
        layer.calls += 1
        layer.seen.append(layer.calls)
        layer.fc1.weight.data = 2 * layer.fc1.weight
        metrics.log_scalar("seen", 1.0)

    layer.register_forward_pre_hook(leave_traces)

    def state():
        # lightconv has a bias that nobody has given values
        tensors = {name: tensor.nan_to_num().tolist() for name, tensor in model.state_dict().items()}
        modes = {name: module.training for name, module in model.named_modules()}
        return tensors, modes, layer.calls, [*layer.seen]

    def draws_after(function):
        random.seed(1), np.random.seed(1), torch.manual_seed(1)
        with metrics.aggregate() as meters:
            function()
        return random.random(), np.random.random(), torch.rand(3).tolist(), [*meters]

    before = state()
    assert draws_after(lambda: setup.choose(sample)) == draws_after(lambda: None)
    assert state() == before
    assert layer.seen is seen
    assert layer.fc1.weight.data_ptr() == storage
    assert all(parameter.grad is None for parameter in model.parameters())
    assert draws_after(lambda: model(**sample["net_input"])) != draws_after(lambda: None)  # it would show
    assert state() != before
