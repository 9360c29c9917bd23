"""Training with R-Drop by the Trainer of Hugging Face, on random small models. Nothing is downloaded."""

import re
import sys
from functools import partial

import pytest
import torch
import torch.nn.functional as F

pytest.importorskip("transformers", reason="needs pip install '.[huggingface]'")

import transformers
from conftest import ROOT, run
from huggingface_models import (
    LLAMA,
    VOCAB,
    make_batch,
    make_model,
    make_trainer,
    rows_of,
    weights_after_an_update,
)

from benchmarks import bench
from rdrop_fairseq.huggingface import trainer as rdrop_trainer
from rdrop_fairseq.huggingface.output_projection import find_output_projection, logits_loss, with_decoder_inputs
from rdrop_fairseq.huggingface import RDropTrainer


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("name", ["bart", "nllb", "t5, tied", "gpt2"])
def test_accumulation_is_one_large_batch(tmp_path, name, fused):
    """Accumulated batches with unequal numbers of labels give the update of one large batch."""
    rdrop = {"rdrop_alpha": 2.5, "rdrop_fused": fused}
    large = weights_after_an_update(name, tmp_path, size=4, rdrop=rdrop)
    small = weights_after_an_update(name, tmp_path, size=1, rdrop=rdrop, gradient_accumulation_steps=4)
    torch.testing.assert_close(small, large, rtol=1e-4, atol=1e-6)


def test_two_processes_are_one_large_batch(tmp_path):
    """Two processes give the update of one, where DDP looks for parameters without a gradient, too."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    script = ROOT / "tests" / "huggingface_models.py"
    run(*torchrun, script, "llama", tmp_path, PYTHONPATH=str(ROOT), OMP_NUM_THREADS="1")
    expected = weights_after_an_update("llama", tmp_path, size=4)
    torch.testing.assert_close(torch.load(tmp_path / "weights.pt"), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["bart", "llama"])
def test_the_gradient_is_that_of_plain_training_where_passes_agree(tmp_path, name):
    """The passes' cross entropies are averaged, so that learning rate and clipping are a plain run's."""
    rates = {"dropout": 0.0, "attention_dropout": 0.0}
    rows, weights = rows_of(make_batch(name)), []
    for kind, rdrop in ((RDropTrainer, True), (transformers.Trainer, None)):
        model = make_model(name, **rates)
        trainer = make_trainer(model, tmp_path, rows, kind, rdrop, max_steps=1, per_device_train_batch_size=3)
        trainer.train()
        weights.append(model.state_dict())
    torch.testing.assert_close(weights[0], weights[1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["bart", "nllb", "t5, untied", "llama"])
def test_label_smoothing_is_transformers(tmp_path, name):
    """Label smoothing gives every class eps / V: the Trainer's loss, where alpha is 0 and passes agree."""
    model, batch = make_model(name, dropout=0.0, attention_dropout=0.0, dropout_rate=0.0), make_batch(name)
    smoothing = {"label_smoothing_factor": 0.3}
    plain = make_trainer(model, tmp_path, kind=transformers.Trainer, rdrop=None, **smoothing)
    items = batch["labels"].ne(-100).sum()
    expected = plain.compute_loss(model, with_decoder_inputs(model, dict(batch)), num_items_in_batch=items)
    for fused in (True, False):
        trainer = make_trainer(model, tmp_path, rdrop={"rdrop_alpha": 0.0, "rdrop_fused": fused}, **smoothing)
        for count in (items, None):
            loss = trainer.compute_loss(model, batch, num_items_in_batch=count)
            torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
    assert expected != make_trainer(model, tmp_path, rdrop={"rdrop_alpha": 0.0}).compute_loss(model, batch)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("name", ["bart", "nllb", "t5, tied", "llama"])
def test_evaluation_is_the_trainers_own_single_pass(tmp_path, name, smoothing):
    model, batch = make_model(name), make_batch(name)
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
    plain = make_trainer(model, tmp_path, rows, transformers.Trainer, None, **settings)
    assert found == plain.evaluate()["eval_loss"]


def log_of_a_step(model, folder, caplog, batch):
    """What was logged of a step by the fused way, which has to have the loss of the logits."""
    found = []
    for fused in (False, True):
        caplog.clear()
        torch.manual_seed(7)
        trainer = make_trainer(model, folder, rdrop={"rdrop_alpha": 2.5, "rdrop_fused": fused})
        found.append(trainer.compute_loss(model, batch))
    assert found[0] == found[1]
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("autocast", [True, False])
@pytest.mark.parametrize("name", ["bart", "t5, tied", "gptj", "cohere"])
def test_low_precision_has_the_fused_loss(tmp_path, name, autocast):
    """Regression: a bias in fp32 beside states in bf16 made the loss take the logits."""
    found = []
    for fused in (True, False):
        model, rows = make_model(name), rows_of(make_batch(name))
        settings = {"bf16": autocast, "max_steps": 1, "per_device_train_batch_size": 3}
        rdrop = {"rdrop_alpha": 2.5, "rdrop_fused": fused}
        trainer = make_trainer(
            model if autocast else model.bfloat16(), tmp_path, rows, rdrop=rdrop, seed=7, **settings
        )
        found.append(trainer.train().training_loss)
        assert (trainer.rdrop_loss is logits_loss) == (not fused)
    assert found[0] == pytest.approx(found[1], rel=2e-3)


def test_a_model_that_bends_its_logits_is_trained_by_them(tmp_path, caplog):
    config = transformers.Gemma2Config(**LLAMA, query_pre_attn_scalar=8)
    model = transformers.Gemma2ForCausalLM(config).train()
    reason = "Gemma2ForCausalLM does more to its logits than to scale them and to add a bias"
    (log,) = log_of_a_step(model, tmp_path, caplog, make_batch("llama"))
    assert log == f"R-Drop: the loss takes all logits, as {reason}"


def test_a_wrong_projection_is_not_used(tmp_path, caplog, monkeypatch):
    model, batch = make_model("bart"), make_batch("bart")
    projection = find_output_projection(model, batch)._replace(bias=None)
    monkeypatch.setattr(rdrop_trainer, "find_output_projection", lambda *_: projection)
    (log,) = log_of_a_step(model, tmp_path, caplog, batch)
    reason = r"the loss is \S+ where Bart\w+ itself returns"
    assert re.match(f"R-Drop: the loss takes all logits, as {reason}", log)


def test_a_model_with_a_loss_of_another_kind_is_refused(tmp_path):
    """ProphetNet, which adds the losses of further n-grams, is refused."""
    sizes = {"vocab_size": VOCAB, "hidden_size": 16, "num_encoder_layers": 1, "num_decoder_layers": 1}
    for side in ("encoder", "decoder"):
        sizes |= {f"{side}_ffn_dim": 32, f"num_{side}_attention_heads": 2}
    config = transformers.ProphetNetConfig(**sizes, decoder_start_token_id=1)
    torch.manual_seed(0)
    model = transformers.ProphetNetForConditionalGeneration(config).train()
    with pytest.raises(ValueError, match=r"the loss is .* where ProphetNetForConditionalGeneration itself"):
        make_trainer(model, tmp_path).compute_loss(model, make_batch("bart"))


NO_NOISE = "R-Drop: its passes do not differ, as the model has no dropout"


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("bart", {}, []),
        ("llama", {"attention_dropout": 0.0}, [NO_NOISE]),
        ("bart", {"dropout": 0.0}, [NO_NOISE]),
        ("bart", {"decoder_layerdrop": 0.1}, ["R-Drop: LayerDrop drops the same layers in all passes"]),
    ],
)
def test_noise_that_the_passes_lack_is_told(tmp_path, caplog, name, changes, expected):
    model, batch = make_model(name, **changes), make_batch(name)
    trainer = make_trainer(model, tmp_path)
    for _ in range(2):
        trainer.compute_loss(model, batch)
    messages = [record.getMessage() for record in caplog.records]
    assert all(found.startswith(text) for found, text in zip(messages, expected, strict=True))


def test_the_loss_of_routers_is_not_left_out(tmp_path):
    """A loss of routers is refused; the check of the loss may miss it, as less than the rounding of bf16."""
    config = transformers.MixtralConfig(**LLAMA, num_local_experts=2, output_router_logits=True)
    model = transformers.MixtralForCausalLM(config).train()
    with pytest.raises(ValueError, match="would leave out the loss of the routers: set output_router_logits"):
        make_trainer(model, tmp_path).compute_loss(model, make_batch("llama"))


def test_what_cannot_be_combined(tmp_path):
    rdrop = {"rdrop_alpha": 1.0, "compute_loss_func": F.cross_entropy}
    with pytest.raises(
        ValueError, match="compute_loss_func is a loss in the place of R-Drop's: leave it out"
    ):
        make_trainer(make_model("bart"), tmp_path, rdrop=rdrop)


def test_the_fused_loss_holds_no_logits(tmp_path):
    """The fused loss's peak stays below the logits of one pass; by the logits it is many times them."""
    model = make_model("nllb", vocab_size=16000)
    batch = make_batch("nllb", sizes=((9, 50),) * 20)
    one_pass = batch["labels"].numel() * 16000 * 4 / 2**20
    items = batch["labels"].ne(-100).sum()
    peaks = []
    for fused in (True, False):
        trainer = make_trainer(model, tmp_path, rdrop={"rdrop_alpha": 2.5, "rdrop_fused": fused})
        step = partial(trainer.training_step, model, batch, items)
        step()  # the first one chooses
        peaks.append(bench.peak_mib(step, "cpu"))
    assert peaks[0] < one_pass < peaks[1] / 6
