"""fairseq criterion: label-smoothed cross entropy with R-Drop (arXiv:2106.14448)."""

import logging
import math
from dataclasses import dataclass, field
from typing import Any

from fairseq.criterions import register_criterion
from fairseq.criterions.label_smoothed_cross_entropy import (
    LabelSmoothedCrossEntropyCriterion,
    LabelSmoothedCrossEntropyCriterionConfig,
)
from fairseq.dataclass import ChoiceEnum
from fairseq.logging import metrics
from torch import Tensor, nn

from .functional import rdrop_loss_from_lprobs
from .fused import Options, linear_rdrop_sums
from .passes import repeat_batch
from .projection import find_output_projection, replaced_forward
from .validation import check_rdrop_options

logger = logging.getLogger(__name__)


@dataclass
class LabelSmoothedCrossEntropyRDropConfig(LabelSmoothedCrossEntropyCriterionConfig):
    rdrop_alpha: float = field(
        default=5.0,
        metadata={"help": "weight of the KL divergence between the passes"},
    )
    rdrop_passes: int = field(
        default=2,
        metadata={"help": "number of passes with independent dropout masks, at least 2"},
    )
    rdrop_ce_reduction: ChoiceEnum(["sum", "mean"]) = field(  # type: ignore[valid-type]
        default="sum",
        metadata={
            "help": "over the passes' cross entropies: sum as in the paper, or mean "
            "(alpha under sum = passes x alpha under mean)"
        },
    )
    rdrop_loss: ChoiceEnum(["auto", "fused", "plain"]) = field(  # type: ignore[valid-type]
        default="auto",
        metadata={
            "help": "fused: never hold the logits (faster, same numbers); plain: for models without "
            "a plain output projection; auto: fused where the model allows it"
        },
    )
    rdrop_chunk_size: int = field(
        default=0,
        metadata={"help": "fused: target positions to project at a time, 0 chooses"},
    )


@register_criterion("label_smoothed_cross_entropy_rdrop", dataclass=LabelSmoothedCrossEntropyRDropConfig)
class LabelSmoothedCrossEntropyRDropCriterion(LabelSmoothedCrossEntropyCriterion):
    """In training, ``rdrop_passes`` passes in one forward over the repeated batch and the R-Drop
    objective; in evaluation, fairseq's label-smoothed criterion itself.

    Logged per target token, base 2: ``loss``, the objective (under "sum" divided by the passes) and
    ``nll_loss``, the mean over the passes, so that both are comparable to a plain run's;
    ``rdrop_kl_loss``, not multiplied by alpha.
    """

    def __init__(
        self,
        task,
        sentence_avg,
        label_smoothing,
        ignore_prefix_size=0,
        report_accuracy=False,
        rdrop_alpha=5.0,
        rdrop_passes=2,
        rdrop_ce_reduction="sum",
        rdrop_loss="auto",
        rdrop_chunk_size=0,
    ):
        super().__init__(task, sentence_avg, label_smoothing, ignore_prefix_size, report_accuracy)
        check_rdrop_options(rdrop_alpha, rdrop_passes, label_smoothing, str(rdrop_ce_reduction))
        if rdrop_chunk_size < 0:
            raise ValueError(f"chunk_size must be >= 0, got {rdrop_chunk_size}")
        self.alpha = rdrop_alpha
        self.passes = rdrop_passes
        self.ce_reduction: Any = str(rdrop_ce_reduction)
        self.loss_path = str(rdrop_loss)
        self.chunk_size = rdrop_chunk_size or None
        self._path_is_logged = False

    @classmethod
    def build_criterion(cls, cfg, task):
        try:
            return super().build_criterion(cfg, task)
        except ValueError as error:  # the value of a flag: one line for the user, no traceback
            name, message = str(error).split(" ", 1)
            prefix = "" if hasattr(cfg, name) else "rdrop_"
            flag = f"--{prefix}{name}".replace("_", "-")
            raise SystemExit(f"error: {flag} {message}") from None

    def forward(self, model, sample, reduce=True):
        """Returns (objective, sample size, logging output), as every fairseq criterion.

        The sample is not modified, and the sample size is that of one pass.
        """
        if not model.training:
            return super().forward(model, sample, reduce)

        net_input = repeat_batch(sample["net_input"], self.passes, sample["target"].size(0))
        layer = self._fused_projection(model) if reduce else None
        if layer is None:
            loss, nll_loss, kl_loss, accuracy = self._plain_loss(model, net_input, sample, reduce)
        else:
            loss, nll_loss, kl_loss, accuracy = self._fused_loss(model, layer, net_input, sample)

        sample_size = sample["target"].size(0) if self.sentence_avg else sample["ntokens"]
        logging_output = {
            "loss": loss.detach() / (self.passes if self.ce_reduction == "sum" else 1),
            "nll_loss": nll_loss.detach(),
            "rdrop_kl_loss": kl_loss.detach(),
            "ntokens": sample["ntokens"],
            "nsentences": sample["target"].size(0),
            "sample_size": sample_size,
        }
        if self.report_accuracy:
            logging_output.update(accuracy)
        return loss, sample_size, logging_output

    def _plain_loss(
        self, model: Any, net_input: dict[str, Any], sample: dict[str, Any], reduce: bool
    ) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
        net_output = model(**net_input)
        lprobs = model.get_normalized_probs(net_output, log_probs=True)  # (K * B, T, V)
        target = model.get_targets(sample, net_output)  # (B, T)
        lprobs = lprobs[:, self.ignore_prefix_size :]
        target = target[:, self.ignore_prefix_size :]
        losses = rdrop_loss_from_lprobs(
            lprobs,
            target,
            alpha=self.alpha,
            passes=self.passes,
            label_smoothing=self.eps,
            ignore_index=self.padding_idx,
            ce_reduction=self.ce_reduction,
            reduction="sum" if reduce else "none",
        )
        accuracy = {}
        if self.report_accuracy:
            counted = target.ne(self.padding_idx)
            hits = lprobs.argmax(-1).unflatten(0, (self.passes, -1)).eq(target) & counted
            accuracy = {"n_correct": hits.sum(), "total": counted.sum() * self.passes}
        return *losses, accuracy

    def _fused_loss(
        self, model: Any, layer: nn.Linear, net_input: dict[str, Any], sample: dict[str, Any]
    ) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
        target = sample["target"]
        if self.ignore_prefix_size > 0:
            target = target.clone()
            target[:, : self.ignore_prefix_size] = self.padding_idx
        options = Options(
            alpha=self.alpha,
            passes=self.passes,
            label_smoothing=self.eps,
            ignore_index=self.padding_idx,
            ce_scale=1.0 if self.ce_reduction == "sum" else 1.0 / self.passes,
            chunk_size=self.chunk_size,
            max_positions=sample["ntokens"] if isinstance(sample["ntokens"], int) else None,
        )
        with replaced_forward(
            layer, lambda hidden: linear_rdrop_sums(hidden, layer.weight, layer.bias, target, options)
        ):
            sums = model(**net_input)[0]
        if sums.shape != (4,):
            raise RuntimeError(
                f"{type(model).__name__} changes the output of its projection: "
                "train it with --rdrop-loss plain"
            )
        loss, nll_loss, kl_loss, n_correct = sums.unbind()
        accuracy = {
            "n_correct": n_correct.detach(),
            "total": target.ne(self.padding_idx).sum() * self.passes,
        }
        return loss, nll_loss, kl_loss, accuracy

    def _fused_projection(self, model: Any) -> nn.Linear | None:
        """The layer to fuse with the loss, or None where the plain path has to serve."""
        if self.loss_path == "plain":
            layer, reason = None, "--rdrop-loss plain"
        else:
            layer, reason = find_output_projection(model)
        if layer is None and self.loss_path == "fused":
            raise ValueError(f"--rdrop-loss fused: {reason}; use auto or plain")
        if not self._path_is_logged:
            path = "plain" if layer is None else "fused"
            logger.info(f"R-Drop: {self.passes} passes, {path} loss ({reason})")
            self._path_is_logged = True
        return layer

    @classmethod
    def reduce_metrics(cls, logging_outputs) -> None:
        """Aggregate the logging outputs of the workers and of delayed updates."""
        super().reduce_metrics(logging_outputs)
        if any("rdrop_kl_loss" in log for log in logging_outputs):  # training, not validation
            kl_loss = sum(log.get("rdrop_kl_loss", 0) for log in logging_outputs)
            ntokens = sum(log.get("ntokens", 0) for log in logging_outputs)
            metrics.log_scalar("rdrop_kl_loss", kl_loss / ntokens / math.log(2), ntokens, round=4)
