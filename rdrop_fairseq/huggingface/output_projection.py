"""The output projection of a Hugging Face model: found, measured, checked, for the loss to stand in for it.

There is more than an ``lm_head`` between a decoder's last states and the logits that a model returns. A tied
T5 scales the states before it by ``d_model ** -0.5``; BART and Marian add a ``final_logits_bias`` after it;
Cohere and Granite multiply the logits; Gemma bends them by a tanh. Left out, each gives another loss and no
error. So nothing is known here by the name of a model: the states are those that the model calls its
``lm_head`` with, and what follows is measured, by an ``lm_head`` that returns known numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch  # an attribute replaced for the length of a block

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rdrop_fairseq import RDropLoss, linear_rdrop_loss, rdrop_loss

Batch = dict[str, Any]
Loss = Callable[..., RDropLoss]  # see logits_loss

IGNORED = -100  # the label of a position that does not count
PROBES = (0.0, 1.0, 100.0)  # in place of logits they show a bias, a scale, and whether far out it is the same
CHECKED_POSITIONS = 32  # the check holds the logits of these


def logits_loss(
    model: nn.Module, inputs: Batch, target: Tensor, epsilon: float = 0.0, **options: Any
) -> RDropLoss:
    """:func:`rdrop_loss` of the logits that the model returns.

    Args:
        inputs: of K passes, pass-major, without labels.
        target: (B, T), see :func:`split_labels`.
        epsilon: label smoothing in transformers' formula, which gives ``epsilon / V`` to every class.
        options: the others of ``rdrop_loss``.
    """
    logits = model(**inputs).logits
    return rdrop_loss(logits, target, label_smoothing=_for_others(epsilon, logits.size(-1)), **options)


class OutputProjection(NamedTuple):
    """A model's logits are ``scale * layer(hidden) + bias``, where hidden is what it calls ``layer`` with."""

    layer: nn.Linear
    scale: float
    bias: Tensor | None  # (V)

    def loss(
        self, model: nn.Module, inputs: Batch, target: Tensor, epsilon: float = 0.0, **options: Any
    ) -> RDropLoss:
        """:func:`logits_loss` without the logits.

        ``linear_rdrop_loss`` runs where the model calls the layer, so that a wrapper of the model that
        gathers weights, or looks which take part (DistributedDataParallel), sees the layer at work.
        """
        results: list[RDropLoss] = []

        def stand_in(hidden: Tensor) -> Tensor:  # (K * B, T, D)
            weight, bias = self.layer.weight, self.bias
            if self.layer.bias is not None:
                bias = self.scale * self.layer.bias + (0.0 if bias is None else bias)
            more: dict[str, Any] = {
                "bias": None if bias is None else bias.to(hidden.dtype),
                "label_smoothing": _for_others(epsilon, weight.size(0)),
            }
            results.append(linear_rdrop_loss(hidden * self.scale, weight, target, **more, **options))
            return results[0].loss.view(1, 1, 1)  # to the model logits of one position and one class

        with patch.object(self.layer, "forward", stand_in):
            model(**inputs)
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
    if type(layer) is not nn.Linear or "forward" in vars(layer):
        raise ValueError(f"{name} has no plain lm_head")
    inputs, _ = split_labels(model, few_positions(batch))
    calls = []

    def stand_in(hidden: Tensor) -> Tensor:
        calls.append(hidden)
        probes = torch.tensor(PROBES, device=layer.weight.device).view(1, -1, 1)
        return probes.repeat(1, 1, layer.out_features)

    with evaluation(model), patch.object(layer, "forward", stand_in):
        logits = model(**inputs).logits
    if len(calls) != 1 or logits.shape != (1, len(PROBES), layer.out_features):
        raise ValueError(f"{name} calls its lm_head {len(calls)} times, or returns logits of another shape")
    at_0, at_1, at_100 = logits[0].float()
    finite = at_0.isfinite()  # -inf masks a class
    size = at_0[finite].abs()  # of a bias, beside which a probe is rounded
    slopes = torch.stack([at_1 - at_0, (at_100 - at_0) / 100])[:, finite]
    scale = slopes[1, size.argmin()].item()
    if ((slopes - scale).abs() > 1e-3 * abs(scale) + 1e-6 * size).any():
        raise ValueError(f"{name} does more to its logits than to scale them and to add a bias")
    return OutputProjection(layer, scale, at_0 if at_0.any() else None)


def check_loss(model: Any, batch: Batch, loss: Loss, tolerance: float) -> None:
    """Compares a loss with the cross entropy that the model itself returns, on a few positions of a batch.

    Raises:
        ValueError: they differ by more than ``tolerance``, relative to the model's.
    """
    few = few_positions(batch)
    inputs, target = split_labels(model, few)
    with evaluation(model):
        own = model(**few).loss.item()
        ours = loss(model, inputs, target, alpha=0.0, passes=1, reduction="mean").loss.item()
    if not abs(ours - own) <= tolerance * own:
        raise ValueError(f"the loss is {ours:.5g} where {type(model).__name__} itself returns {own:.5g}")


def few_positions(batch: Batch) -> Batch:
    """The beginning of the sentence with the most labels, each position with a label."""
    labels = batch["labels"]
    counted = labels.ne(IGNORED)
    row = int(counted.sum(1).argmax())
    begin = int(counted[row].int().argmax())  # behind a prompt, or padding on the left

    def cut(value: Any) -> Any:
        if not isinstance(value, Tensor) or value.dim() == 0:
            return value
        if value.shape[:2] == labels.shape:
            return value[row : row + 1, begin : begin + CHECKED_POSITIONS]
        return value[row : row + 1]

    return {**{key: cut(value) for key, value in batch.items()}, "labels": cut(labels).clamp(min=0)}


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
    if not model.config.is_encoder_decoder:  # a causal language model predicts the next position
        labels = F.pad(labels, (0, 1), value=IGNORED)[:, 1:]
    return inputs, labels


def repeat(inputs: Batch, passes: int, batch_size: int) -> Batch:
    """The inputs of ``passes`` passes, pass-major.

    Raises:
        ValueError: dimension 0 of a tensor is not ``batch_size``, so that repeating it would be a guess.
    """
    repeated = dict(inputs)
    for name, value in inputs.items():
        if isinstance(value, Tensor) and value.dim() > 0:
            if value.size(0) != batch_size:
                raise ValueError(
                    f"cannot repeat {name} for R-Drop: its dimension 0 is {value.size(0)}, "
                    f"the batch has {batch_size} sentences"
                )
            repeated[name] = torch.cat([value] * passes)
    return repeated


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
