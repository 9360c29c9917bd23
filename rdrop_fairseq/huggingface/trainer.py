"""R-Drop in the Trainer of Hugging Face transformers, for AutoModelForSeq2SeqLM and AutoModelForCausalLM.

A batch of training goes through the model once, repeated K times. Its loss, over the labels that are not
-100, is

    sum (mean_k CE_k + alpha * KL) / num_items_in_batch

``num_items_in_batch`` counts the labels of all batches of an update: gradient accumulation changes nothing.
CE has the label smoothing of ``label_smoothing_factor``, in transformers' formula. Evaluation is the
Trainer's own, a single pass without KL.
"""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor, nn
from transformers import Seq2SeqTrainer, Trainer

from ..losses.checks import check_rdrop_options
from ..losses.terms import RDropLoss
from ..projection import repeat
from .losses import (
    IGNORED,
    Batch,
    Loss,
    check_batch,
    check_loss,
    find_output_projection,
    has_dropout,
    logits_loss,
    split_labels,
    with_decoder_inputs,
)

logger = logging.getLogger(__name__)
PATIENCE = 100  # updates in which dropout may have no effect, as at the beginning of LoRA


class RDropTrainer(Trainer):
    """A Trainer that trains with R-Drop.

    Args:
        rdrop_alpha: weight of the KL. The cross entropies are averaged here: with K = 2 take half of a
            published alpha, which stands beside their sum (2.5 for translation, 0.35 for BART on CNN/DM).
        rdrop_passes: number of passes K; 1 is plain training by the same losses.
        rdrop_fused: compute the loss from the decoder's states, without logits, where the model allows it.
        The others: those of the Trainer.

    Raises:
        ValueError: an argument is out of range, or the Trainer or the model is of a kind that R-Drop is not
            for: here, or in the first step.
    """

    def __init__(
        self, *args: Any, rdrop_alpha: float, rdrop_passes: int = 2, rdrop_fused: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        if self.compute_loss_func is not None:
            raise ValueError("compute_loss_func is a loss in the place of R-Drop's: leave it out")
        if self.args.n_gpu > 1:
            raise ValueError(
                "R-Drop on several GPUs needs a process for each: start the training by torchrun"
            )
        can_generate = getattr(self.model, "can_generate", None)
        if can_generate is None or not can_generate():
            raise ValueError(
                f"R-Drop's Trainer is for AutoModelForSeq2SeqLM and AutoModelForCausalLM, and "
                f"{type(self.model).__name__} is neither: take rdrop_loss in a training loop of your own"
            )
        # The Trainer counts the labels of an update for a model whose loss is divided by them. R-Drop's is.
        self.model_is_given_count: bool = self.model_accepts_loss_kwargs  # type: ignore[has-type]
        self.model_accepts_loss_kwargs = True
        alpha, passes, _ = check_rdrop_options(
            rdrop_alpha, rdrop_passes, self.args.label_smoothing_factor, "mean"
        )
        self.rdrop_options: dict[str, Any] = {"alpha": alpha, "passes": passes, "ce_reduction": "mean"}
        self.rdrop_fused = rdrop_fused
        self.rdrop_loss: Any = None  # a Loss, chosen in the first step
        self.rdrop_watched = True  # until the passes of a batch with labels differ

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        unwrapped = self.accelerator.unwrap_model(model)
        if not model.training:
            if "labels" in inputs:
                inputs = with_decoder_inputs(unwrapped, inputs)
            count = num_items_in_batch if self.model_is_given_count else None
            return super().compute_loss(model, inputs, return_outputs, count)
        passes = self.rdrop_options["passes"]
        check_batch(unwrapped, inputs, passes)
        batch = inputs
        inputs, target = split_labels(unwrapped, batch)
        inputs = repeat(inputs, passes, len(target), "batch")
        options = {"epsilon": self.args.label_smoothing_factor, **self.rdrop_options}
        if self.rdrop_loss is None:
            self.rdrop_loss = self._choose_loss(unwrapped, batch)
        if self.rdrop_watched and self.rdrop_loss is not logits_loss:
            options["check"] = True
        result = self.rdrop_loss(model, inputs, target, **options)
        if self.rdrop_watched:
            self._watch_passes(unwrapped, result)
        if num_items_in_batch is None:
            processes, count = 1, target.ne(IGNORED).sum()
        else:  # those of all processes, whose gradients are averaged
            processes = self.accelerator.num_processes if self.args.average_tokens_across_devices else 1
            count = torch.as_tensor(num_items_in_batch, device=target.device)
        loss = result.loss * processes / count.clamp(min=1)  # of no labels 0, and so is the gradient
        return (loss, {}) if return_outputs else loss

    def _watch_passes(self, model: nn.Module, result: RDropLoss) -> None:
        """Warns of passes that do not differ: at once without dropout, else when it has had time to tell."""
        if result.nll_loss == 0:  # of a batch without labels
            return
        if self.rdrop_options["passes"] > 1 and result.kl_loss <= 1e-6 * result.nll_loss:
            if not has_dropout(model):
                reason = "as the model has no dropout (see its config)"
            elif self.state.global_step >= PATIENCE:
                reason = f"after {PATIENCE} updates: its dropout does not reach the logits"
            else:
                return
            logger.warning(f"R-Drop: its passes do not differ, {reason}")
        self.rdrop_watched = False

    def _choose_loss(self, model: Any, batch: Batch) -> Loss:
        if getattr(model.config, "output_router_logits", False):
            raise ValueError("R-Drop would leave out the loss of the routers: set output_router_logits=False")
        precision = (model.dtype, self.accelerator.mixed_precision, torch.get_float32_matmul_precision())
        # A model of low precision rounds its logits; the fused loss does not.
        tolerance = 1e-4 if precision == (torch.float32, "no", "highest") else 2e-2
        passes = self.rdrop_options["passes"]
        check_loss(model, batch, logits_loss, passes, tolerance)
        if any(getattr(model.config, f"{part}layerdrop", 0) for part in ("", "encoder_", "decoder_")):
            logger.warning(
                "R-Drop: LayerDrop drops the same layers in all passes; the config can turn it off"
            )
        if not self.rdrop_fused:
            return logits_loss
        try:
            projection = find_output_projection(model, batch)
            check_loss(model, batch, projection.loss, passes, tolerance)
        except ValueError as error:
            logger.warning(f"R-Drop: the loss takes all logits, as {error}")
            return logits_loss
        return projection.loss


class RDropSeq2SeqTrainer(RDropTrainer, Seq2SeqTrainer):
    """The same, with generation in evaluation."""
