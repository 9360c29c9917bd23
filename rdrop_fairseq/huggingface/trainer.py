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
import sys
from typing import Any

import torch
from torch import Tensor, nn
from transformers.utils import is_torchaudio_available

try:  # as transformers does where it is installed; the one that fairseq brings may lack its CUDA libraries
    import torchaudio  # noqa: F401
except (ImportError, OSError):
    sys.modules["torchaudio"] = None  # type: ignore[assignment]  # to transformers: not installed
    is_torchaudio_available.cache_clear()

from transformers import Seq2SeqTrainer, Trainer

from rdrop_fairseq.huggingface.output_projection import (
    IGNORED,
    Batch,
    Loss,
    check_loss,
    find_output_projection,
    logits_loss,
    repeat,
    split_labels,
    with_decoder_inputs,
)

logger = logging.getLogger(__name__)


class RDropTrainer(Trainer):
    """A Trainer that trains with R-Drop.

    Args:
        rdrop_alpha: weight of the KL. The cross entropies are averaged here: with K = 2 take half of a
            published alpha, which stands beside their sum (2.5 for translation, 0.35 for BART on CNN/DM).
        rdrop_passes: number of passes K; 1 is plain training by the same losses.
        rdrop_fused: compute the loss from the decoder's states, without logits, where the model allows it.
        The others: those of the Trainer.

    Raises:
        ValueError: the Trainer or the model is of a kind that R-Drop is not for: here, or in the first step.
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
        self.rdrop_options: dict[str, Any] = {
            "alpha": rdrop_alpha,
            "passes": rdrop_passes,
            "ce_reduction": "mean",
        }
        self.rdrop_fused = rdrop_fused
        self.rdrop_loss: Any = None  # a Loss, chosen in the first step

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: Tensor | None = None,
    ) -> Any:
        unwrapped = self.accelerator.unwrap_model(model)
        if not model.training:
            inputs = with_decoder_inputs(unwrapped, inputs)
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        first = self.rdrop_loss is None
        if first:
            self.rdrop_loss = self._choose_loss(unwrapped, inputs)
        inputs, target = split_labels(unwrapped, inputs)
        inputs = repeat(inputs, self.rdrop_options["passes"], len(target))
        epsilon = self.args.label_smoothing_factor
        result = self.rdrop_loss(model, inputs, target, epsilon=epsilon, **self.rdrop_options)
        if first and self.rdrop_options["passes"] > 1 and result.kl_loss <= 1e-6 * result.nll_loss:
            logger.warning("R-Drop: its passes do not differ, as the model has no dropout (see its config)")
        if num_items_in_batch is None:
            loss = result.loss / target.ne(IGNORED).sum()
        else:  # those of all processes, whose gradients are averaged
            processes = self.accelerator.num_processes if self.args.average_tokens_across_devices else 1
            loss = result.loss * processes / num_items_in_batch
        return (loss, {}) if return_outputs else loss

    def _choose_loss(self, model: Any, batch: Batch) -> Loss:
        if getattr(model.config, "output_router_logits", False):
            raise ValueError("R-Drop would leave out the loss of the routers: set output_router_logits=False")
        precision = (model.dtype, self.accelerator.mixed_precision, torch.get_float32_matmul_precision())
        # A model of low precision rounds its logits; the fused loss does not.
        tolerance = 1e-4 if precision == (torch.float32, "no", "highest") else 2e-2
        check_loss(model, batch, logits_loss, tolerance)
        if any(getattr(model.config, f"{part}layerdrop", 0) for part in ("", "encoder_", "decoder_")):
            logger.warning(
                "R-Drop: LayerDrop drops the same layers in all passes; the config can turn it off"
            )
        if not self.rdrop_fused:
            return logits_loss
        try:
            projection = find_output_projection(model, batch)
            check_loss(model, batch, projection.loss, tolerance)
        except ValueError as error:
            logger.warning(f"R-Drop: the loss takes all logits, as {error}")
            return logits_loss
        return projection.loss


class RDropSeq2SeqTrainer(RDropTrainer, Seq2SeqTrainer):
    """The same, with generation in evaluation."""
