"""Every kind of model that fairseq and its examples register: fused equals plain, or plain, or one line."""

import argparse
import importlib
import random
import sys

import numpy as np
import pytest
import torch
from conftest import OFFICIAL, check_gradients, check_log, gradients

pytest.importorskip("fairseq")
if OFFICIAL:
    pytest.skip("other models and settings", allow_module_level=True)

import fairseq.examples
from fairseq.data import Dictionary
from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_REGISTRY, MODEL_DATACLASS_REGISTRY, MODEL_REGISTRY
from fairseq.tasks.multilingual_translation import MultilingualTranslationTask

from rdrop_fairseq.errors import RDropError
from rdrop_fairseq.label_smoothed_cross_entropy_rdrop import LabelSmoothedCrossEntropyRDropCriterion

EXAMPLES = [
    "attention_head_selection.src.models.head_selection_s2t_transformer",
    "latent_depth.latent_depth_src.models.latent_multilingual_transformer",
    "linformer.linformer_src.models.linformer_roberta",
    "pointer_generator.pointer_generator_src.transformer_pg",
    "simultaneous_translation.models.transformer_monotonic_attention",
]

# By the batch that they take and what comes of it, one for each class of models; the others of a class differ
# in sizes. Not here, as they need a pretrained model, fairscale or megatron, or have no small size:
# xm_transformer, wav2vec_ctc, hubert_ctc, vggtransformer, roberta_enc_dec, pipeline_parallel and more.
# wav2vec_seq2seq is in test_speech.py.
FUSED, OWN, OTHER, NO_TOKENS = (
    "fused loss (decoder.",
    "makes its targets or probabilities itself",
    "with the criterion that is made for it",
    "the tokens to predict",
)
OUTCOMES = {
    ("text", FUSED): "transformer_tiny transformer_align transformer_unidirectional_iwslt_de_en bart_base "
    "lightconv lstm multilingual_transformer latent_multilingual_transformer",
    ("lm", FUSED): "transformer_lm lightconv_lm lstm_lm",
    ("text", "has no plain output projection"): "fconv fconv_self_att",
    ("lm", "has no plain output projection"): "fconv_lm",
    ("text", OWN): "transformer_pointer_generator",
    ("lm", "has no decoder"): "roberta linformer_roberta xmod_base_13",
    (
        "speech",
        OWN,
    ): "s2t_berard convtransformer s2t_transformer s2t_conformer head_selection_s2t_transformer",
    (
        "text",
        OTHER,
    ): "nonautoregressive_transformer nacrf_transformer iterative_nonautoregressive_transformer "
    "cmlm_transformer levenshtein_transformer insertion_transformer",
    ("lm", OTHER): "masked_lm",
    ("wave", OTHER): "wav2vec2",
    ("tts", NO_TOKENS): "tts_transformer",
}
ARCHITECTURES = {arch: case for case, names in OUTCOMES.items() for arch in names.split()}
SIZES = {
    **dict.fromkeys(("encoder_layers", "decoder_layers"), 1),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 2),
    **{f"{side}_{name}": 32 for side in ("encoder", "decoder") for name in ("embed_dim", "ffn_embed_dim")},
    **dict.fromkeys(("encoder_hidden_size", "decoder_hidden_size", "decoder_out_embed_dim"), 32),
    **dict.fromkeys(("decoder_output_dim", "decoder_input_dim"), 32),
    **{name: [3] for name in ("encoder_kernel_size_list", "decoder_kernel_size_list")},
    **dict.fromkeys(("max_positions", "max_source_positions", "max_target_positions"), 64),
    "conv_channels": 16,
    "source_position_markers": 0,
    "dropout": 0.1,
}
CONVOLUTIONS = dict.fromkeys(("encoder_layers", "decoder_layers"), "[(32,3)]")
SETTINGS = {
    **dict.fromkeys(("max_source_positions", "max_target_positions", "tokens_per_sample"), 64),
    **dict.fromkeys(("criterion", "data"), ""),
    **dict.fromkeys(("fp16", "tpu", "add_bos_token"), False),
    "input_feat_per_channel": 16,
    "input_channels": 1,
    "n_frames_per_step": 1,
    "base_layers": 0,
}


class Task(MultilingualTranslationTask):
    """Of one language pair, with what models of other tasks ask for."""

    def __init__(self):
        self.dictionary = Dictionary()
        for number in range(20):
            self.dictionary.add_symbol(f"w{number}")
        options = argparse.Namespace(lang_pairs=["de-en"], source_lang="de", target_lang="en")
        vars(options).update(encoder_langtok=None, decoder_langtok=False)
        super().__init__(options, dict.fromkeys(("de", "en"), self.dictionary), training=True)

    src_dict = source_dictionary = target_dictionary = output_dictionary = property(
        lambda self: self.dictionary
    )

    def get_speaker_embeddings(self, args):
        return None


@pytest.fixture(scope="module")
def task():
    """With the examples registered, which import one another as "examples", the name of our own folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "examples", fairseq.examples)
        for name in EXAMPLES:
            importlib.import_module(f"examples.{name}")
    return Task()


def build(arch, task):
    """The architecture, small, from the flags and the defaults that it has on the command line."""
    model_class = ARCH_MODEL_REGISTRY[arch]
    parser = argparse.ArgumentParser(argument_default=argparse.SUPPRESS, conflict_handler="resolve")
    model_class.add_args(parser)
    sizes = {**SIZES, **(CONVOLUTIONS if "fconv" in arch else {})}
    flags = parser._option_string_actions
    known = {name: size for name, size in sizes.items() if f"--{name.replace('_', '-')}" in flags}
    options = argparse.Namespace(**{"arch": arch, **SETTINGS, **vars(parser.parse_args([])), **known})
    ARCH_CONFIG_REGISTRY.get(arch, lambda _: None)(options)
    names = [name for name, registered in MODEL_REGISTRY.items() if registered is model_class]
    if config := MODEL_DATACLASS_REGISTRY.get(names[0]):
        options = argparse.Namespace(**{**vars(config()), **vars(options)})
    torch.manual_seed(0)
    model = model_class.build_model(options, task)
    return model.models["de-en"] if hasattr(model, "models") else model  # its task trains that


def batch(kind, task):
    """Three sentences, with padding on the left of the source and on the right of the target."""
    pad, end = task.dictionary.pad(), task.dictionary.eos()
    generator = torch.Generator().manual_seed(1)
    source, target = (torch.randint(4, 24, (3, length), generator=generator) for length in (8, 6))
    for row, (of_source, of_target) in enumerate(((8, 6), (6, 4), (5, 6))):
        source[row, : 8 - of_source] = pad
        target[row, of_target - 1 :] = pad
        target[row, of_target - 1] = end
    previous = torch.cat([torch.full((3, 1), end), target[:, :-1]], dim=1)
    texts = {"src_tokens": source, "src_lengths": torch.tensor([8, 6, 5])}
    net_input = {
        "text": {**texts, "prev_output_tokens": previous},
        "lm": {"src_tokens": previous, "src_lengths": torch.tensor([6, 4, 6])},
        "speech": {
            "src_tokens": torch.randn(3, 80, 16),
            "src_lengths": torch.tensor([80, 70, 60]),
            "prev_output_tokens": previous,
        },
        "tts": texts,
        "wave": {"source": torch.randn(3, 2000), "prev_output_tokens": previous},
    }[kind]
    if kind == "tts":
        target = torch.randn(3, 6, 80)
    return {"net_input": net_input, "target": target, "ntokens": int(target.ne(pad).sum())}


def step(task, model, sample, loss):
    """(loss, log, gradients) of a training step."""
    criterion = LabelSmoothedCrossEntropyRDropCriterion(
        task, False, 0.1, report_accuracy=True, rdrop_loss=loss
    )
    model.train()
    model.zero_grad()
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(7)
    objective, _, log = criterion(model, sample)
    objective.backward()
    return objective.detach(), log, gradients(model)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_fused_equals_plain_or_says_what_it_is(task, caplog, arch):
    """To rounding in loss and gradient; a model for another criterion ends in one line.

    Regression: CTC and Levenshtein models ended in a RuntimeError or TypeError, after the log had announced
    R-Drop.
    """
    caplog.set_level("INFO")
    kind, outcome = ARCHITECTURES[arch]
    model, sample = build(arch, task), batch(kind, task)
    assert sum(parameter.numel() for parameter in model.parameters()) < 1e7
    if outcome in (OTHER, NO_TOKENS):
        with pytest.raises(RDropError, match=outcome) as error:
            step(task, model, sample, "auto")
        assert "\n" not in str(error.value)
        assert "R-Drop" not in caplog.text
        return
    loss, log, grads = step(task, model, sample, "auto")
    assert outcome in caplog.text
    expected = step(task, model, sample, "plain")
    torch.testing.assert_close(loss, expected[0])
    check_gradients(grads, expected[2])
    check_log(log, expected[1], rtol=1e-4, atol=1e-4)
    if outcome != FUSED:
        with pytest.raises(RDropError, match=f"--rdrop-loss fused: .*{outcome}"):
            step(task, model, sample, "fused")
