"""What the losses need to know of a fairseq model: where its output projection is, and what follows it."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from fairseq.logging import metrics
from fairseq.models import BaseFairseqModel, FairseqDecoder
from fairseq.models.transformer import TransformerModelBase
from fairseq.modules import AdaptiveSoftmax
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from .errors import RDropError
from .noise import layer_drops
from .projection import CallsError, is_plain, probe, stand_in, unchanged

T = TypeVar("T")

# The get_normalized_probs known to leave it to get_normalized_probs_scriptable, and that to the decoder.
_PLAIN_NORMALISATION = {
    BaseFairseqModel.get_normalized_probs,
    TransformerModelBase.get_normalized_probs,
}


def unwrapped(model: Any) -> Any:
    """The model inside DistributedDataParallel and the like."""
    return _with_what_it_wraps(model)[-1]


def _with_what_it_wraps(model: Any) -> list[Any]:
    models = [model]
    while not isinstance(model, BaseFairseqModel) and isinstance(getattr(model, "module", None), nn.Module):
        model = model.module
        models.append(model)
    return models


def check_wrapper(model: Any) -> None:
    """
    Raises:
        RDropError: the model is in shards, and cannot be looked into. Or DistributedDataParallel would wait
            for the parameters that LayerDrop leaves out.
    """
    if any(type(module).__name__ == "FullyShardedDataParallel" for module in model.modules()):
        raise RDropError(
            "R-Drop cannot look into a model in shards: take --ddp-backend pytorch_ddp or legacy_ddp"
        )
    for wrapper in _with_what_it_wraps(model):
        waits = isinstance(wrapper, DistributedDataParallel) and not wrapper.find_unused_parameters
        if waits and any(layer_drops(wrapper)):
            raise RDropError(
                "LayerDrop under --ddp-backend pytorch_ddp needs --find-unused-parameters, or take "
                "--ddp-backend legacy_ddp"
            )


def in_one_call(model: Any, net_input: dict[str, Any], compute: Callable[[dict[str, Any]], T]) -> T:
    """``compute(net_input)``, which may call the :func:`unwrapped` model often, as one call of ``model``.

    All parameters are used within it then, as DistributedDataParallel with find_unused_parameters asks: it
    looks at what the last call used, and a parameter of another one, or of the loss, would be ready twice.
    """
    inner = unwrapped(model)
    if inner is model:
        return compute(net_input)
    own_forward = inner.forward

    def forward(**net_input: Any) -> T:
        with stand_in(inner, own_forward):
            return compute(net_input)

    with stand_in(inner, forward):
        result: T = model(**net_input)
    return result


def find_output_projection(model: Any) -> tuple[nn.Linear | None, str]:
    """The layer whose log-softmax the model seems to return, or None and the reason why there is none."""
    name = type(model).__name__
    decoder = getattr(model, "decoder", None)
    if not isinstance(decoder, FairseqDecoder):
        return None, f"{name} has no decoder"
    if (
        _function(model.get_normalized_probs) not in _PLAIN_NORMALISATION
        or _function(model.get_normalized_probs_scriptable)
        is not BaseFairseqModel.get_normalized_probs_scriptable
        or _function(model.get_targets) is not BaseFairseqModel.get_targets
        or _function(decoder.get_normalized_probs) is not FairseqDecoder.get_normalized_probs
        or _function(decoder.get_normalized_probs_scriptable)
        is not FairseqDecoder.get_normalized_probs_scriptable
    ):
        return None, f"{name} makes its targets or probabilities itself"
    for attribute in ("output_projection", "fc_out"):  # fc_out: lstm
        layer = getattr(decoder, attribute, None)
        if is_plain(layer):
            return layer, f"decoder.{attribute}"
    return None, f"{name} has no plain output projection"


def _function(method: Any) -> Any:
    """What a bound method calls, whether the class has it or the instance."""
    return getattr(method, "__func__", method)


def why_not_fused(model: Any, layer: nn.Linear, sample: dict[str, Any]) -> str | None:
    """Why the loss may not stand in for the layer, or None: it calls the layer once, and returns its output.

    It is found out by a forward in training that leaves no trace, see :func:`.projection.probe`.
    """
    name = type(model).__name__
    try:
        seen = _without_trace(model, sample, lambda net_input: probe(layer, lambda: model(**net_input)))
    except torch.cuda.OutOfMemoryError:
        raise
    except CallsError as error:
        return f"{name} {error}"
    except Exception as error:  # of the model, which may want logits of a certain shape
        return " ".join(f"{name} cannot be probed ({error!r})".split())
    in_place = seen.returned._version > 0 or not torch.equal(seen.returned, seen.numbers)
    if in_place or seen.returned._backward_hooks or not is_output(seen.output, seen.returned):
        return f"{name} changes what its output projection returns"
    if seen.hidden.shape[:-1] != sample["target"].shape:
        return f"{name} does not project the states of all targets"
    return None


def is_output(net_output: Any, returned: Tensor) -> bool:
    """Whether the logits of a model's output are that tensor itself."""
    return isinstance(net_output, (tuple, list)) and len(net_output) > 0 and net_output[0] is returned


def check_output(model: Any, sample: dict[str, Any]) -> None:
    """Check for log-probabilities of each target token, by a forward in training that leaves no trace.

    Raises:
        RDropError: the model or the task makes something else, which another criterion is for.
    """
    name, target = type(model).__name__, sample["target"]

    def shape_of_lprobs(net_input: dict[str, Any]) -> Any:
        net_output = model(**net_input)
        try:
            return model.get_normalized_probs(net_output, log_probs=True).shape
        except Exception as error:
            return repr(error)

    shape = _without_trace(model, sample, shape_of_lprobs)
    if not isinstance(shape, torch.Size) or shape[:-1] != target.shape:
        got = tuple(shape) if isinstance(shape, torch.Size) else shape
        raise RDropError(
            f"R-Drop is for models that predict a token for each target, {tuple(target.shape)}; the "
            f"log-probabilities of {name} are {got}: train it with the criterion that is made for it"
        )


def check_input(model: Any, sample: dict[str, Any]) -> None:
    """
    Raises:
        RDropError: the batch is not what the model takes, or has no tokens to predict.
    """
    name, target = type(model).__name__, sample.get("target")
    if "net_input" not in sample or not isinstance(target, Tensor) or target.is_floating_point():
        raise RDropError(f"R-Drop needs a batch with net_input and the tokens to predict; {name} has another")
    try:
        inspect.signature(model.forward).bind(**sample["net_input"])
    except TypeError as error:  # Levenshtein and other models that do not predict from left to right
        raise RDropError(
            f"R-Drop is for models that predict a token for each target; {name} takes another batch "
            f"({error}): train it with the criterion that is made for it"
        ) from None
    if any(isinstance(module, AdaptiveSoftmax) for module in model.modules()):
        # fairseq changes in place what its backward pass needs.
        raise RDropError(
            "fairseq cannot train an adaptive softmax with label smoothing: "
            "leave out --adaptive-softmax-cutoff"
        )


def _without_trace(model: Any, sample: dict[str, Any], compute: Callable[[dict[str, Any]], T]) -> T:
    with unchanged(model), metrics.aggregate(new_root=True):
        return compute(copy.deepcopy(sample["net_input"]))
