"""What the losses need to know of a fairseq model: where its output projection is, and what follows it."""

from __future__ import annotations

from typing import Any

from fairseq.models import BaseFairseqModel, FairseqDecoder
from fairseq.models.transformer import TransformerModelBase
from fairseq.modules import AdaptiveSoftmax
from torch import nn

from .projection import is_plain

# The get_normalized_probs known to be a plain log-softmax of what the projection returns.
_PLAIN_NORMALISATION = {
    BaseFairseqModel.get_normalized_probs,
    TransformerModelBase.get_normalized_probs,
}


def find_output_projection(model: Any) -> tuple[nn.Linear | None, str]:
    """The layer whose log-softmax the model returns, or None and the reason why there is none."""
    while isinstance(getattr(model, "module", None), nn.Module):  # DistributedDataParallel and the like
        model = model.module
    name = type(model).__name__
    decoder = getattr(model, "decoder", None)
    if not isinstance(decoder, FairseqDecoder):
        return None, f"{name} has no decoder"
    if (
        type(model).get_normalized_probs not in _PLAIN_NORMALISATION
        or type(model).get_targets is not BaseFairseqModel.get_targets
        or type(decoder).get_normalized_probs is not FairseqDecoder.get_normalized_probs
        or type(decoder).get_normalized_probs_scriptable is not FairseqDecoder.get_normalized_probs_scriptable
    ):
        return None, f"{name} makes its targets or probabilities itself"
    for attribute in ("output_projection", "fc_out"):  # fc_out: lstm
        layer = getattr(decoder, attribute, None)
        if is_plain(layer):
            return layer, f"decoder.{attribute}"
    return None, f"{name} has no plain output projection"


def check_no_adaptive_softmax(model: nn.Module) -> None:
    """Raises ValueError for a model with an adaptive softmax, whose log-probabilities fairseq can evaluate
    but not train with: it changes in place what their backward pass needs.
    """
    if any(isinstance(module, AdaptiveSoftmax) for module in model.modules()):
        raise ValueError(
            "fairseq cannot train an adaptive softmax with label smoothing: "
            "leave out --adaptive-softmax-cutoff"
        )
