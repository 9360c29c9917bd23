"""What the Trainer with R-Drop tells, and refuses, in one line. Nothing is downloaded."""

import re
import sys

import pytest
import torch
import torch.nn.functional as F

pytest.importorskip("transformers", reason="needs pip install '.[huggingface]'")

import transformers
from conftest import ROOT, run
from huggingface_models import BART, LLAMA, VOCAB, log_of_steps, make_batch, make_model, make_trainer, rows_of

from rdrop_fairseq.huggingface import trainer as rdrop_trainer
from rdrop_fairseq.huggingface.losses import few_positions, find_output_projection


def log_of_the_fused_loss(caplog, model, folder, batch):
    """What was logged of a step by the fused way, which has to have the loss of the logits."""
    trainers = [make_trainer(model, folder, rdrop_fused=fused) for fused in (False, True)]
    (_, expected), (messages, found) = (log_of_steps(caplog, trainer, model, batch) for trainer in trainers)
    assert found == expected
    return messages


def test_a_model_that_bends_its_logits_is_trained_by_them(tmp_path, caplog):
    config = transformers.Gemma2Config(**LLAMA, query_pre_attn_scalar=8)
    model = transformers.Gemma2ForCausalLM(config).train()
    reason = "Gemma2ForCausalLM does more to its logits than to scale them and to add a bias"
    (log,) = log_of_the_fused_loss(caplog, model, tmp_path, make_batch("llama"))
    assert log == f"R-Drop: the loss takes all logits, as {reason}"


@pytest.mark.parametrize(
    ("name", "forgotten"),
    [("bart", {"bias": None}), ("cohere", {"scale": 1.0}), ("t5, tied", {"scale": 4.0})],
)
def test_a_wrong_projection_is_not_used(tmp_path, caplog, monkeypatch, name, forgotten):
    """A bias or a scale that is left out is noticed; T5 scales its states, not its logits."""
    model, batch = make_model(name), make_batch(name)
    projection = find_output_projection(model, batch)._replace(**forgotten)
    monkeypatch.setattr(rdrop_trainer, "find_output_projection", lambda *_: projection)
    (log,) = log_of_the_fused_loss(caplog, model, tmp_path, batch)
    reason = rf"the loss is \S+ where {type(model).__name__} itself returns"
    assert re.match(f"R-Drop: the loss takes all logits, as {reason}", log)


class DropsLogits(transformers.GPT2LMHeadModel):
    """Its logits have dropout, which evaluation does not show."""

    def forward(self, **inputs):
        output = super().forward(**inputs)
        output.logits = torch.nn.functional.dropout(output.logits, 0.1, self.training)
        return output


def test_logits_that_are_changed_in_training_only(tmp_path):
    """Regression: what stands behind the projection in training only was left out of the loss, in silence."""
    model, batch = DropsLogits(make_model("gpt2").config).train(), make_batch("gpt2")
    trainer = make_trainer(model, tmp_path, rdrop_passes=1)
    trainer.compute_loss(model, batch | {"labels": torch.full_like(batch["labels"], -100)})  # shows nothing
    with pytest.raises(ValueError, match="DropsLogits makes its logits in another way in training than in"):
        trainer.compute_loss(model, batch)
    assert make_trainer(model, tmp_path, rdrop_fused=False).compute_loss(model, batch) > 0


def test_a_model_with_a_loss_of_another_kind_is_refused(tmp_path):
    sizes = {"vocab_size": VOCAB, "hidden_size": 16, "num_encoder_layers": 1, "num_decoder_layers": 1}
    for side in ("encoder", "decoder"):
        sizes |= {f"{side}_ffn_dim": 32, f"num_{side}_attention_heads": 2}
    config = transformers.ProphetNetConfig(**sizes, decoder_start_token_id=1)
    torch.manual_seed(0)
    model = transformers.ProphetNetForConditionalGeneration(config).train()
    with pytest.raises(ValueError, match=r"the loss is .* where ProphetNetForConditionalGeneration itself"):
        make_trainer(model, tmp_path).compute_loss(model, make_batch("bart"))


class PrependsTokens(transformers.GPT2LMHeadModel):
    """As peft's prompt tuning makes it: virtual tokens stand before the text."""

    def forward(self, input_ids, attention_mask, labels=None, **more):
        embeds = F.pad(self.get_input_embeddings()(input_ids), (0, 0, 4, 0), value=1.0)
        if labels is not None:
            more["labels"] = F.pad(labels, (4, 0), value=-100)
        return super().forward(
            inputs_embeds=embeds, attention_mask=F.pad(attention_mask, (4, 0), value=1), **more
        )


def test_more_positions_than_labels_are_refused(tmp_path):
    """Regression: the message was on the shapes of the loss's arguments."""
    model, batch = PrependsTokens(make_model("gpt2").config).train(), make_batch("gpt2")
    message = r"^PrependsTokens returns \d+ positions for \d+ labels, as with virtual tokens"
    with pytest.raises(ValueError, match=message):
        make_trainer(model, tmp_path).compute_loss(model, batch)


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
    """It is told once, and not of a first batch without labels, whose passes cannot differ."""
    model, batch = make_model(name, **changes), make_batch(name)
    empty = batch | {"labels": torch.full_like(batch["labels"], -100)}
    trainer = make_trainer(model, tmp_path)
    messages, _ = log_of_steps(caplog, trainer, model, empty)
    assert NO_NOISE not in "".join(messages)
    more, _ = log_of_steps(caplog, trainer, model, batch, batch)
    assert all(found.startswith(text) for found, text in zip(messages + more, expected, strict=True))


class LoRA(torch.nn.Module):
    """A layer of low rank beside a frozen one, as in Hu et al. 2021: dropout, A, and B, which starts at 0."""

    def __init__(self, frozen, rank=2):
        super().__init__()
        self.frozen = frozen.requires_grad_(False)
        self.dropout = torch.nn.Dropout(0.3)
        self.a = torch.nn.Linear(frozen.in_features, rank, bias=False)
        self.b = torch.nn.Linear(rank, frozen.out_features, bias=False)
        torch.nn.init.zeros_(self.b.weight)

    def forward(self, x):
        return self.frozen(x) + self.b(self.a(self.dropout(x)))


def test_dropout_that_has_no_effect_yet(tmp_path, caplog):
    """Regression: of LoRA, whose B is 0 in the first step, it was said that the model has no dropout. If the
    dropout still has no effect after many updates, that is told.
    """
    model, batch = make_model("llama", attention_dropout=0.0).requires_grad_(False), make_batch("llama")
    attention = model.model.layers[0].self_attn
    attention.v_proj = LoRA(attention.v_proj)
    trainer = make_trainer(model, tmp_path, rows_of(batch) * 8, max_steps=4, learning_rate=5.0)
    assert log_of_steps(caplog, trainer, model, batch)[0] == []
    trainer.state.global_step = rdrop_trainer.PATIENCE
    (message,) = log_of_steps(caplog, trainer, model, batch, batch)[0]
    assert message.startswith("R-Drop: its passes do not differ, after 100 updates: its dropout does not")
    trainer.train()
    trainer.rdrop_watched = True
    assert log_of_steps(caplog, trainer, model, batch)[0] == []
    assert not trainer.rdrop_watched  # they differ now


def packed(lengths):
    """The sentences in one row, as DataCollatorWithFlattening makes it, and each in a row of its own."""
    generator = torch.Generator().manual_seed(1)
    rows = [{"input_ids": torch.randint(3, VOCAB, (n,), generator=generator).tolist()} for n in lengths]
    pad = torch.nn.utils.rnn.pad_sequence
    ids = [torch.tensor(row["input_ids"]) for row in rows]
    padded = {"input_ids": pad(ids, True), "labels": pad(ids, True, -100)}
    padded["attention_mask"] = pad([torch.ones_like(row) for row in ids], True)
    return transformers.DataCollatorWithFlattening(return_tensors="pt")(rows), padded


def test_packed_sentences(tmp_path, caplog):
    """Packed sentences do not see each other when their row is repeated, or are refused.

    Regression: flash attention knows them only in a batch of one row; and the check looked at one sentence,
    or, with a cache, at a row that the model did not take for packed.
    """
    model = make_model("llama", attention_dropout=0.0)
    trainer = make_trainer(model, tmp_path)
    row, padded = packed((50, 40))
    model.config.use_cache = True
    _, losses = log_of_steps(caplog, trainer, model, row, padded)
    torch.testing.assert_close(*losses)
    assert few_positions(model, row)["position_ids"].flatten().tolist() == [*range(34, 50), *range(16)]
    model.config._attn_implementation = "flash_attention_2"
    with pytest.raises(ValueError, match=r"^flash_attention_2 takes packed sentences in one row, not in"):
        trainer.compute_loss(model, row)


def test_the_features_of_whisper_are_no_positions(tmp_path, caplog):
    """Regression: as many labels as mel bins, and the check cut the features of the sound."""
    sizes = {"num_mel_bins": 40, "max_source_positions": 8, "max_target_positions": 40}
    config = transformers.WhisperConfig(**BART | sizes, pad_token_id=0, decoder_start_token_id=1)
    model = transformers.WhisperForConditionalGeneration(config)
    features = torch.randn(2, 40, 16, generator=torch.Generator().manual_seed(0))
    labels = make_batch("bart", sizes=((1, 40), (1, 5)))["labels"]
    trainer = make_trainer(model, tmp_path)
    messages, _ = log_of_steps(caplog, trainer, model.train(), {"input_features": features, "labels": labels})
    assert messages == []


@pytest.mark.parametrize("kind", ["BertForSequenceClassification", "BertForMaskedLM", "Wav2Vec2ForCTC"])
def test_models_of_another_kind_are_refused(tmp_path, kind):
    """Regression: a classifier ended in an IndexError of the first step, CTC in a RuntimeError."""
    model_class = getattr(transformers, kind)
    if kind == "Wav2Vec2ForCTC":
        sizes = {"conv_dim": (16,), "conv_kernel": (10,), "conv_stride": (5,), "num_feat_extract_layers": 1}
        sizes |= {"num_conv_pos_embedding_groups": 2}
    else:
        sizes = {"max_position_embeddings": 64}
    sizes |= {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    model = model_class(model_class.config_class(vocab_size=VOCAB, **sizes))
    with pytest.raises(ValueError, match=f"^R-Drop's Trainer is for .*, and {kind} is neither"):
        make_trainer(model, tmp_path)


@pytest.mark.parametrize("change", [{}, {"labels": torch.tensor([1, 2, 3])}])
def test_batches_without_a_label_for_each_position_are_refused(tmp_path, change):
    model, batch = make_model("llama"), make_batch("llama")
    del batch["labels"]
    with pytest.raises(ValueError, match=r"^R-Drop needs the labels of a batch, one for each position"):
        make_trainer(model, tmp_path).compute_loss(model, {**batch, **change})


def test_the_loss_of_routers_is_not_left_out(tmp_path):
    """A loss of routers is refused; the check of the loss may miss it, as less than the rounding of bf16."""
    config = transformers.MixtralConfig(**LLAMA, num_local_experts=2, output_router_logits=True)
    model = transformers.MixtralForCausalLM(config).train()
    with pytest.raises(ValueError, match="would leave out the loss of the routers: set output_router_logits"):
        make_trainer(model, tmp_path).compute_loss(model, make_batch("llama"))


@pytest.mark.parametrize(
    ("rdrop", "message"),
    [
        ({"compute_loss_func": F.cross_entropy}, "compute_loss_func is a loss in the place of R-Drop's"),
        ({"rdrop_alpha": -1.0}, "alpha must be a finite number >= 0, got -1.0"),
    ],
)
def test_arguments_are_checked_at_once(tmp_path, rdrop, message):
    with pytest.raises(ValueError, match=message):
        make_trainer(make_model("bart"), tmp_path, **rdrop)


IMPORT = """
import sys
import transformers
try:
    import rdrop_fairseq.huggingface
except ImportError as error:
    print(error)
assert "torchaudio" not in sys.modules
"""


def test_a_torchaudio_that_does_not_load_is_named(tmp_path):
    """Regression: the import set sys.modules["torchaudio"] to None, for whoever else wanted it."""
    (tmp_path / "torchaudio").mkdir()
    (tmp_path / "torchaudio" / "__init__.py").write_text("raise OSError('libc10_cuda.so: no such file')\n")
    result = run(sys.executable, "-c", IMPORT, PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert result.stdout == (
        "the Trainer of transformers imports torchaudio, which does not load here "
        "(libc10_cuda.so: no such file): pip uninstall torchaudio, or install the build of it that fits "
        "this torch\n"
    )
