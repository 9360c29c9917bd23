"""The R-Drop losses of a Hugging Face model and a batch: from the logits, or from the decoder's states.

There is more than an ``lm_head`` between a decoder's last states and the logits that a model returns. A tied
T5 scales the states before it by ``d_model ** -0.5``; BART and Marian add a ``final_logits_bias`` after it;
Cohere and Granite multiply the logits; Gemma bends them by a tanh. Left out, each gives another loss and no
error. So nothing is known here by the name of a model: the states are those that the model calls its
``lm_head`` with, and what follows is measured.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import Any, Callable, Dict, Iterator, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..losses.functional import linear_rdrop_loss, rdrop_loss
from ..losses.terms import RDropLoss
from ..projection import is_plain, probe, repeat, scale_and_bias, stand_in

Batch = Dict[str, Any]
Loss = Callable[..., RDropLoss]  # see logits_loss

IGNORED = -100  # the label of a position that does not count
CHECKED_POSITIONS = 32  # the check holds the logits of these
# What a causal language model takes, a value for each position.
TEXT = {
    *("input_ids", "inputs_embeds", "attention_mask", "position_ids", "token_type_ids"),
    *("labels", "shift_labels"),
}


def logits_loss(
    model: nn.Module, inputs: Batch, target: Tensor, epsilon: float = 0.0, **options: Any
) -> RDropLoss:
    """:func:`rdrop_loss` of the logits that the model returns.

    Args:
        inputs: of K passes, pass-major, without labels.
        target: (B, T), see :func:`split_labels`.
        epsilon: label smoothing in transformers' formula, which gives ``epsilon / V`` to every class.
        options: the others of ``rdrop_loss``.

    Raises:
        ValueError: the model returns more or fewer positions than there are labels.
    """
    logits = model(**inputs).logits
    if logits.size(1) != target.size(1):
        raise ValueError(
            f"{type(model).__name__} returns {logits.size(1)} positions for {target.size(1)} labels, as with "
            "virtual tokens of prompt tuning: R-Drop needs one for each"
        )
    return rdrop_loss(logits, target, label_smoothing=_for_others(epsilon, logits.size(-1)), **options)


class OutputProjection(NamedTuple):
    """A model's logits are ``scale * layer(hidden) + bias``, where hidden is what it calls ``layer`` with."""

    layer: nn.Linear
    scale: float
    bias: Tensor | None  # (V)

    def loss(
        self,
        model: nn.Module,
        inputs: Batch,
        target: Tensor,
        epsilon: float = 0.0,
        check: bool = False,
        **options: Any,
    ) -> RDropLoss:
        """:func:`logits_loss` without the logits.

        Raises:
            ValueError: ``check``, and the model makes its logits in another way than was measured, as it may
                in training.
        """
        results: list[RDropLoss] = []

        def forward(hidden: Tensor) -> Tensor:  # (K * B, T, D)
            weight, bias = self.layer.weight, self.bias
            if self.layer.bias is not None:
                bias = self.scale * self.layer.bias + (0.0 if bias is None else bias)
            more: dict[str, Any] = {
                "bias": None if bias is None else bias.to(hidden.dtype),
                "label_smoothing": _for_others(epsilon, weight.size(0)),
            }
            results.append(linear_rdrop_loss(hidden * self.scale, weight, target, **more, **options))
            return results[-1].loss.view(1, 1, 1)  # to the model logits of one position and one class

        with stand_in(self.layer, forward):
            logits = model(**inputs).logits
        if check:
            bias = 0.0 if self.bias is None else self.bias
            expected = [result.loss.detach() * self.scale + bias for result in results]
            close = partial(torch.allclose, logits.float(), rtol=1e-2, atol=1e-2, equal_nan=True)
            if [close(each) for each in expected] != [True]:
                raise ValueError(
                    f"{type(model).__name__} makes its logits in another way in training than in evaluation: "
                    "set rdrop_fused=False"
                )
        return results[0]


def _for_others(epsilon: float, num_classes: int) -> float:
    """The mass of all classes but the target, which our losses divide among them by V - 1."""
    return epsilon * (num_classes - 1) / num_classes


def find_output_projection(model: Any, batch: Batch) -> OutputProjection:
    """The projection of a model, measured on the first sentence of a batch.

    Raises:
        ValueError: the model makes its logits in another way; says which.
    """
    name, layer = type(model).__name__, model.get_output_embeddings()
    if not is_plain(layer):
        raise ValueError(f"{name} has no plain lm_head")
    inputs, _ = split_labels(model, few_positions(model, batch))
    try:
        with evaluation(model):
            found = probe(layer, lambda: model(**inputs).logits)
        return OutputProjection(layer, *scale_and_bias(found.numbers, found.output))
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None


def check_loss(model: Any, batch: Batch, loss: Loss, passes: int, tolerance: float) -> None:
    """Compares a loss of ``passes`` passes with the cross entropy that the model itself returns of one, on a
    few positions of a batch.

    Raises:
        ValueError: they differ by more than ``tolerance``, relative to the model's.
    """
    few = few_positions(model, batch)
    inputs, target = split_labels(model, few)
    inputs = repeat(inputs, passes, 1, "batch")
    options: dict[str, Any] = {"alpha": 0.0, "ce_reduction": "mean", "reduction": "mean"}
    with evaluation(model):
        own = model(**{"use_cache": False, **few}).loss.item()  # a cache hides that sentences are packed
        ours = loss(model, inputs, target, passes=passes, **options).loss.item()
    if not abs(ours - own) <= tolerance * own:
        raise ValueError(f"the loss is {ours:.5g} where {type(model).__name__} itself returns {own:.5g}")


def few_positions(model: Any, batch: Batch) -> Batch:
    """The beginning of the sentence with the most labels, each position with a label. Of packed sentences,
    the end of one and the beginning of the next.

    What has a value for each position is known by its name; nothing is cut where it might be anything else.
    """
    labels = batch["labels"]
    tensors = {key: value for key, value in batch.items() if isinstance(value, Tensor) and value.dim() > 0}
    per_position = {key for key, value in tensors.items() if value.shape[:2] == labels.shape}
    if model.config.is_encoder_decoder:
        per_position = {key for key in per_position if key == "labels" or key.startswith("decoder_")}
    elif tensors.keys() - (per_position & TEXT):
        per_position = set()
    counted = labels.ne(IGNORED)
    row = int(counted.sum(1).argmax())
    begin = int(counted[row].int().argmax())  # behind a prompt, or padding on the left
    if "position_ids" in per_position:
        starts = batch["position_ids"][row].diff().ne(1).nonzero()
        if len(starts):
            begin = max(0, int(starts[0]) + 1 - CHECKED_POSITIONS // 2)
    few = {key: value[row : row + 1] for key, value in tensors.items()}
    few |= {key: few[key][:, begin : begin + CHECKED_POSITIONS] for key in per_position}
    few |= {key: few[key].clamp(min=0) for key in ("labels", "shift_labels") if key in few}
    return {**batch, **few}


def check_batch(model: Any, batch: Batch, passes: int) -> None:
    """
    Raises:
        ValueError: R-Drop has no meaning for a batch of this kind, or would have another one.
    """
    labels = batch.get("labels")
    if not isinstance(labels, Tensor) or labels.dim() != 2:
        shape = f"are of shape {tuple(labels.shape)}" if isinstance(labels, Tensor) else "are not there"
        raise ValueError(
            f"R-Drop needs the labels of a batch, one for each position, (B, T); they {shape}. "
            "DataCollatorForSeq2Seq and DataCollatorForLanguageModeling make them"
        )
    attention, row = str(model.config._attn_implementation), batch.get("position_ids")
    if passes == 1 or len(labels) > 1 or "flash" not in attention or row is None:
        return
    if row.diff().ne(1).any():
        raise ValueError(
            f"{attention} takes packed sentences in one row, not in the {passes} of R-Drop: pad them, "
            "or load the model with attn_implementation='sdpa'"
        )


def with_decoder_inputs(model: Any, batch: Batch) -> Batch:
    """The batch with the ``decoder_input_ids`` that a model with an encoder makes of the labels."""
    if not model.config.is_encoder_decoder or {"decoder_input_ids", "decoder_inputs_embeds"} & batch.keys():
        return batch
    labels = batch["labels"]
    if hasattr(model, "prepare_decoder_input_ids_from_labels"):
        shifted = model.prepare_decoder_input_ids_from_labels(labels=labels)
    else:  # NLLB and M2M100 do it within their forward
        shifted = F.pad(labels, (1, 0), value=model.config.decoder_start_token_id)[:, :-1]
        shifted = shifted.masked_fill(shifted.eq(IGNORED), model.config.pad_token_id)
    return {**batch, "decoder_input_ids": shifted}


def split_labels(model: Any, batch: Batch) -> tuple[Batch, Tensor]:
    """What the model takes to return its logits, and the class that each position predicts, (B, T)."""
    inputs = {"use_cache": False, **with_decoder_inputs(model, batch)}
    labels = inputs.pop("labels")
    if model.config.is_encoder_decoder:
        return inputs, labels
    shifted = inputs.pop("shift_labels", None)  # some collators shift them
    if shifted is None:  # a causal language model predicts the next position
        shifted = F.pad(labels, (0, 1), value=IGNORED)[:, 1:]
    return inputs, shifted


def has_dropout(model: nn.Module) -> bool:
    """Whether a module has a dropout rate above 0: its own, or one for a function that it calls."""
    return any(
        isinstance(value, float) and value > 0
        for module in model.modules()
        for name, value in vars(module).items()
        if ("drop" in name and "layer" not in name)
        or (name == "p" and isinstance(module, nn.modules.dropout._DropoutNd))
    )


@contextmanager
def evaluation(model: nn.Module) -> Iterator[None]:
    """Without dropout and without a graph."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)
