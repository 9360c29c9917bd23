"""The loss of Hugging Face's models from their states and from their logits. Nothing is downloaded."""

import pytest
import torch
import torch.nn.functional as F

pytest.importorskip("transformers", reason="needs pip install '.[huggingface]'")

import transformers
from huggingface_models import BIASED, CONFIGS, LLAMA, make_batch, make_model

from rdrop_fairseq.huggingface.losses import (
    check_loss,
    few_positions,
    find_output_projection,
    logits_loss,
    split_labels,
)
from rdrop_fairseq.projection import repeat


def loss_and_gradients(model, batch, loss, passes=2, **options):
    model.zero_grad()
    inputs, target = split_labels(model, batch)
    torch.manual_seed(7)
    inputs = repeat(inputs, passes, len(target), "batch")
    result = loss(model, inputs, target, alpha=2.5, passes=passes, **options)
    result.loss.backward()
    gradients = {key: p.grad.clone() for key, p in model.named_parameters() if p.grad is not None}
    return result, gradients


@pytest.mark.parametrize("name", CONFIGS)
def test_the_fused_loss_is_that_of_the_logits(name):
    """The fused loss has the value and every gradient of the logits', with dropout, smoothing and padding."""
    model, batch = make_model(name), make_batch(name)
    projection = find_output_projection(model, batch)
    assert model.training
    by_logits, expected = loss_and_gradients(model, batch, logits_loss, epsilon=0.1)
    fused, gradients = loss_and_gradients(model, batch, projection.loss, epsilon=0.1)
    assert by_logits.kl_loss > 0
    torch.testing.assert_close(fused, by_logits, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gradients, expected, rtol=1e-4, atol=1e-5)
    assert any(gradient.abs().max() > 0.1 for gradient in gradients.values())


@pytest.mark.parametrize("name", CONFIGS)
def test_both_losses_are_the_models_own(name):
    """Both losses shift labels, make decoder inputs and ignore -100 as the model does it."""
    model, batch = make_model(name).eval(), make_batch(name)
    projection = find_output_projection(model, batch)
    assert not model.training
    own = model(**batch).loss
    inputs, target = split_labels(model, batch)
    for loss in (logits_loss, projection.loss):
        ours = loss(model, inputs, target, alpha=0.0, passes=1, reduction="mean").loss
        torch.testing.assert_close(ours, own, rtol=1e-5, atol=1e-6)
        check_loss(model, batch, loss, passes=2, tolerance=1e-5)


@pytest.mark.parametrize("name", CONFIGS)
def test_ignored_positions_change_nothing(name):
    model, batch = make_model(name).eval(), make_batch(name)
    longer = {
        key: F.pad(value, (0, 3), value={"labels": -100, "attention_mask": 0}.get(key, 5))
        for key, value in batch.items()
    }
    found, expected = (
        loss_and_gradients(model, each, find_output_projection(model, each).loss) for each in (longer, batch)
    )
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_what_is_done_around_the_projection_is_measured():
    measured = {name: find_output_projection(make_model(name), make_batch(name)) for name in CONFIGS}
    assert {name for name, found in measured.items() if found.bias is not None} == set(BIASED)
    assert {name for name, found in measured.items() if found.scale != 1} == {"cohere"}
    assert measured["cohere"].scale == pytest.approx(0.0625)
    model = make_model("bart")
    model.final_logits_bias[0, 5:7] = torch.tensor([-torch.inf, -1e9])  # two ways to mask a class
    found = find_output_projection(model, make_batch("bart"))
    assert torch.equal(found.bias, model.final_logits_bias[0])
    assert found.scale == 1


def test_a_scale_is_measured_beyond_the_precision_of_the_model():
    """Regression: the scale was that of one number in bf16, for Granite 0.1% from 1 / 10."""
    config = transformers.GraniteConfig(**LLAMA, logits_scaling=10.0)
    model = transformers.GraniteForCausalLM(config).bfloat16()
    scale = find_output_projection(model, make_batch("llama")).scale
    assert scale == pytest.approx(0.1, rel=3e-4)


def test_a_prompt_longer_than_what_is_checked():
    """The check looks at positions with labels, behind the prompt and the padding on the left."""
    model = make_model("llama")
    batch = make_batch("llama", sizes=((40, 5), (3, 2)))
    batch = {key: value.flip(1) for key, value in batch.items()} | {"labels": batch["labels"]}
    few = few_positions(model, batch)
    assert few["input_ids"].shape == few["labels"].shape == (1, 5)
    check_loss(model, batch, find_output_projection(model, batch).loss, passes=2, tolerance=1e-5)
