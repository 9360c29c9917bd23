"""Speech: fairseq's wav2vec_seq2seq, shrunk, whose inputs and noise are not those of translation."""

import pytest
import torch
from conftest import OFFICIAL

pytest.importorskip("fairseq")
if OFFICIAL:
    pytest.skip("other settings of the model", allow_module_level=True)

from fairseq.data import data_utils
from fairseq.models.wav2vec.wav2vec2 import Wav2Vec2Config
from fairseq.models.wav2vec.wav2vec2_asr import (
    Wav2Vec2CtcConfig,
    Wav2Vec2Seq2SeqConfig,
    Wav2Vec2Seq2SeqModel,
    Wav2VecCtc,
)
from fairseq.tasks.audio_finetuning import AudioFinetuningConfig, AudioFinetuningTask
from omegaconf import OmegaConf, open_dict

from rdrop_fairseq.errors import RDropError
from rdrop_fairseq.label_smoothed_cross_entropy_rdrop import LabelSmoothedCrossEntropyRDropCriterion

SMALL_SIZES = {"encoder_layers": 2, "encoder_embed_dim": 16, "encoder_attention_heads": 2}
SMALL_SIZES |= {"conv_feature_layers": "[(8, 10, 5)]", "conv_pos": 4, "conv_pos_groups": 2, "final_dim": 8}
RATES = ("dropout", "attention_dropout", "activation_dropout")


@pytest.fixture
def task(tmp_path):
    (tmp_path / "dict.ltr.txt").write_text("".join(f"{letter} 1\n" for letter in "abcdefgh"))
    return AudioFinetuningTask(AudioFinetuningConfig(data=str(tmp_path), labels="ltr", autoregressive=True))


def pretrained(task, **options):
    """The configuration of an encoder that fairseq loads with the model."""
    encoder = {**OmegaConf.structured(Wav2Vec2Config(**SMALL_SIZES, **options))}
    return {
        "task": {"_name": "audio_pretraining", "data": task.cfg.data},
        "model": {**encoder, "_name": "wav2vec2"},
    }


def build_model(task, dropout=0.0, layerdrop=0.0, **decoder):
    """In training; ``decoder``: what Wav2Vec2Seq2SeqConfig has for it."""
    rates = dict.fromkeys(RATES, dropout)
    pretraining = pretrained(task, **rates, encoder_layerdrop=layerdrop)
    decoder = {"decoder_embed_dim": 512, "decoder_ffn_embed_dim": 32, "decoder_layers": 2, **decoder}
    rates = {f"decoder_{name}": rate for name, rate in rates.items()}
    config = Wav2Vec2Seq2SeqConfig(w2v_path="", data=task.cfg.data, **{**rates, **decoder})
    return build(Wav2Vec2Seq2SeqModel, config, pretraining, task)


def build(model_class, config, pretraining, task):
    config.normalize, config.autoregressive, config.apply_mask = False, True, False
    config = OmegaConf.structured(config)
    with open_dict(config):
        config.w2v_args = OmegaConf.create(pretraining)
    torch.manual_seed(0)
    return model_class.build_model(config, task).train()


def batch(task, lengths):
    """As AddTargetDataset makes it with --autoregressive: previous tokens in a list of sentences."""
    end = torch.tensor([task.target_dictionary.eos()])
    texts = [torch.arange(4, 4 + length) for length in lengths]
    source = torch.randn(len(texts), 400, generator=torch.Generator().manual_seed(1))
    previous = [torch.cat([end, text]) for text in texts]
    target = [torch.cat([text, end]) for text in texts]
    return {
        "net_input": {"source": source, "padding_mask": None, "prev_output_tokens": previous},
        "target": data_utils.collate_tokens(target, task.target_dictionary.pad()),
        "ntokens": sum(lengths) + len(lengths),
    }


def make_criterion(task, **options):
    return LabelSmoothedCrossEntropyRDropCriterion(task, False, 0.1, **options)


def test_sentences_in_a_list_are_repeated(task, caplog):
    """Regression: a list as long as the batch failed in the step, or was repeated along time."""
    caplog.set_level("INFO")
    model, sample = build_model(task), batch(task, [3, 5, 2])
    auto, separate = (make_criterion(task, rdrop_forward=forward) for forward in ("auto", "separate"))
    (loss, *_), (expected, *_) = auto(model, sample), separate(model, sample)
    torch.testing.assert_close(loss, expected)
    assert "forward concat" in caplog.text
    # Three sentences of three tokens: a list of sentences, or of three tensors of the batch?
    loss, _, _ = auto(model, batch(task, [2, 2, 2]))
    torch.testing.assert_close(loss, separate(model, batch(task, [2, 2, 2]))[0])
    assert "forward separate from now on (cannot repeat net_input['prev_output_tokens']: its 3 items" in (
        caplog.text
    )


LAYER_DROPS = [{"layerdrop": 0.5}, {"decoder_layerdrop": 0.5}]


@pytest.mark.parametrize("rate", LAYER_DROPS, ids=["encoder", "decoder"])
def test_layer_drop_of_the_model_s_own_takes_separate_forwards(task, caplog, rate):
    """Regression: it was not seen. In one forward the passes dropped the same layers, and the KL was 0."""
    caplog.set_level("INFO")
    model, sample, criterion = build_model(task, **rate), batch(task, [3, 5, 2]), make_criterion(task)
    kls = [float(criterion(model, sample)[2]["rdrop_kl_loss"]) for _ in range(20)]
    assert sum(kl > 1e-6 for kl in kls) > 5
    assert "forward separate (LayerDrop drops the same layers for a whole batch)" in caplog.text
    assert "passes are the same" not in caplog.text
    with pytest.raises(RDropError, match="--rdrop-forward concat: LayerDrop drops the same layers"):
        make_criterion(task, rdrop_forward="concat")(model, sample)


def test_dropout_that_is_a_call_has_no_rate_per_pass(task, caplog):
    """Regression: --rdrop-dropout changed the modules only; the passes differed with rates of 0, too."""
    model, sample = build_model(task, dropout=0.2), batch(task, [3, 5, 2])
    with pytest.raises(RDropError) as error:
        make_criterion(task, rdrop_dropout=[0.0, 0.0])(model, sample)
    assert str(error.value) == (
        "--rdrop-dropout does not reach the dropout of TransformerEncoder, which is no module but a "
        "call with the rate dropout: leave it out"
    )
    for module in model.modules():
        for name in ("p", "dropout_p"):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
    assert make_criterion(task)(model, sample)[2]["rdrop_kl_loss"] > 0
    assert "passes are the same" not in caplog.text


@pytest.mark.parametrize("path", ["auto", "plain"])
def test_a_model_for_ctc_is_refused_before_anything_is_computed(task, caplog, path):
    """Regression: it was a RuntimeError, after the log had announced R-Drop."""
    caplog.set_level("INFO")
    config = Wav2Vec2CtcConfig(w2v_path="", data=task.cfg.data)
    model = build(Wav2VecCtc, config, pretrained(task), task)
    sample = batch(task, [3, 5, 2])
    del sample["net_input"]["prev_output_tokens"]
    with pytest.raises(RDropError, match="train it with the criterion that is made for it") as error:
        make_criterion(task, rdrop_loss=path)(model, sample)
    assert "\n" not in str(error.value)
    assert "R-Drop" not in caplog.text
