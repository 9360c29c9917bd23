"""Training with R-Drop by the Trainer of Hugging Face, on random small models. Nothing is downloaded."""

import sys
from functools import partial

import pytest
import torch

pytest.importorskip("transformers", reason="needs pip install '.[huggingface]'")

import transformers
from conftest import ROOT, run
from huggingface_models import make_batch, make_model, make_trainer, rows_of, weights_after_an_update

from benchmarks import bench
from rdrop_fairseq.huggingface.losses import logits_loss, with_decoder_inputs


@pytest.mark.parametrize(
    ("name", "takes_count", "fused"), [("bart", True, True), ("bart", False, True), ("gpt2", False, False)]
)
def test_accumulation_is_one_large_batch_of_plain_training(tmp_path, name, takes_count, fused):
    """Accumulated batches with unequal numbers of labels give the update of one large batch.

    The passes' cross entropies are averaged: where they agree, it is a plain Trainer's update, by its
    learning rate and clipping. Regression: a model with accepts_loss_kwargs=False got the mean of each batch.
    """
    small = {"size": 1, "gradient_accumulation_steps": 4, "rdrop_fused": fused}
    ours, expected = (
        weights_after_an_update(name, tmp_path, takes_count=takes_count, **settings)
        for settings in (small, {"size": 4, "kind": transformers.Trainer})
    )
    torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["bart", "llama"])
def test_gradient_checkpointing_changes_nothing(tmp_path, name):
    """A layer that runs once more in backward has the dropout masks that it had."""
    weights = []
    for checkpointing in (True, False):
        model = make_model(name)
        settings = {"gradient_checkpointing": checkpointing, "max_steps": 1}
        make_trainer(model, tmp_path, rows_of(make_batch(name)), **settings).train()
        assert model.is_gradient_checkpointing == checkpointing
        weights.append(model.state_dict())
    torch.testing.assert_close(*weights, rtol=0, atol=0)


@pytest.mark.parametrize("fused", [True, False])
def test_an_update_without_labels_changes_nothing(tmp_path, fused):
    """Regression: where all labels were -100, 0 / 0 made all parameters NaN."""
    weights_after_an_update("llama", tmp_path, size=2, rdrop_fused=fused, labels=(0, 0, 0, 0))
    loss = make_trainer(make_model("bart"), tmp_path).compute_loss
    model, batch = make_model("bart"), make_batch("bart", sizes=((7, 0), (4, 0)))
    batch["labels"] = torch.full((2, 3), -100)
    loss(model, batch).backward()  # without a count
    assert not any(p.grad.any() for p in model.parameters() if p.grad is not None)


def test_two_processes_are_one_large_batch(tmp_path):
    """Two processes give the update of one, where DDP looks for parameters without a gradient, too. One of
    the two has no label in that update.
    """
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    script = ROOT / "tests" / "huggingface_models.py"
    run(*torchrun, script, "llama", tmp_path, PYTHONPATH=str(ROOT), OMP_NUM_THREADS="1")
    expected = weights_after_an_update("llama", tmp_path, size=4, labels=(0, 0, 5, 0))
    torch.testing.assert_close(torch.load(tmp_path / "weights.pt"), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["bart", "llama"])
def test_label_smoothing_is_transformers(tmp_path, name):
    """Label smoothing gives every class eps / V: the Trainer's loss, where alpha is 0 and passes agree."""
    model, batch = make_model(name, dropout=0.0, attention_dropout=0.0, dropout_rate=0.0), make_batch(name)
    smoothing = {"label_smoothing_factor": 0.3}
    plain = make_trainer(model, tmp_path, kind=transformers.Trainer, **smoothing)
    items = batch["labels"].ne(-100).sum()
    expected = plain.compute_loss(model, with_decoder_inputs(model, dict(batch)), num_items_in_batch=items)
    for fused in (True, False):
        trainer = make_trainer(model, tmp_path, rdrop_alpha=0.0, rdrop_fused=fused, **smoothing)
        for count in (items, None):
            loss = trainer.compute_loss(model, batch, num_items_in_batch=count)
            torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
    assert expected != make_trainer(model, tmp_path, rdrop_alpha=0.0).compute_loss(model, batch)


@pytest.mark.parametrize("takes_count", [True, False])
@pytest.mark.parametrize(("name", "smoothing"), [("bart", 0.0), ("nllb", 0.1), ("llama", 0.1)])
def test_evaluation_is_the_trainers_own_single_pass(tmp_path, name, smoothing, takes_count):
    model, batch = make_model(name), make_batch(name)
    model.accepts_loss_kwargs = takes_count
    rows = rows_of(batch)
    settings = {"label_smoothing_factor": smoothing, "per_device_eval_batch_size": 3}
    trainer = make_trainer(model, tmp_path, rows, **settings)
    sizes = []
    model.register_forward_pre_hook(
        lambda _, __, inputs: sizes.append(len(inputs["input_ids"])), with_kwargs=True
    )
    found = trainer.evaluate()["eval_loss"]
    assert sizes == [3]
    # A plain Trainer takes the labels away for smoothing, and leaves it to the data to have decoder inputs.
    rows = rows_of(with_decoder_inputs(model, batch))
    plain = make_trainer(model, tmp_path, rows, transformers.Trainer, **settings)
    assert found == plain.evaluate()["eval_loss"]


@pytest.mark.parametrize("autocast", [True, False])
@pytest.mark.parametrize("name", ["bart", "gptj"])  # with a bias each, and gptj's is the layer's own
def test_low_precision_has_the_fused_loss(tmp_path, name, autocast):
    """Regression: a bias in fp32 beside states in bf16 made the loss take the logits."""
    found = []
    for fused in (True, False):
        model, rows = make_model(name), rows_of(make_batch(name))
        settings = {"bf16": autocast, "max_steps": 1, "per_device_train_batch_size": 3}
        model = model if autocast else model.bfloat16()
        trainer = make_trainer(model, tmp_path, rows, rdrop_fused=fused, seed=7, **settings)
        found.append(trainer.train().training_loss)
        assert (trainer.rdrop_loss is logits_loss) == (not fused)
    assert found[0] == pytest.approx(found[1], rel=2e-3)


def test_the_fused_loss_holds_no_logits(tmp_path):
    """The fused loss's peak stays below the logits of one pass; by the logits it is many times them."""
    model = make_model("nllb", vocab_size=16000)
    batch = make_batch("nllb", sizes=((9, 50),) * 20)
    one_pass = batch["labels"].numel() * 16000 * 4 / 2**20
    items = batch["labels"].ne(-100).sum()
    peaks = []
    for fused in (True, False):
        trainer = make_trainer(model, tmp_path, rdrop_fused=fused)
        step = partial(trainer.training_step, model, batch, items)
        step()  # the first one chooses
        peaks.append(bench.peak_mib(step, "cpu"))
    assert peaks[0] < one_pass < peaks[1] / 6
