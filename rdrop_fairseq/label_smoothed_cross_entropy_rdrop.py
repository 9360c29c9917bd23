"""fairseq criterion: label-smoothed cross entropy with R-Drop (arXiv:2106.14448)."""

import functools
import logging
import math
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from fairseq.criterions import register_criterion
from fairseq.criterions.label_smoothed_cross_entropy import LabelSmoothedCrossEntropyCriterion
from fairseq.logging import metrics
from torch import Tensor, nn

from .config import LabelSmoothedCrossEntropyRDropConfig
from .functional import rdrop_loss_from_lprobs
from .fused import Options, linear_rdrop_sums
from .passes import dropout_rate, repeat_batch
from .projection import find_output_projection, replaced_forward
from .validation import check_dropout_rates, check_non_negative, check_rdrop_options

logger = logging.getLogger(__name__)


@register_criterion("label_smoothed_cross_entropy_rdrop", dataclass=LabelSmoothedCrossEntropyRDropConfig)
class LabelSmoothedCrossEntropyRDropCriterion(LabelSmoothedCrossEntropyCriterion):
    """In training, ``rdrop_passes`` passes and the R-Drop objective; in evaluation, and before
    ``rdrop_start_update``, fairseq's label-smoothed criterion itself.

    Logged per target token, base 2: ``loss``, the objective (under "sum" divided by the passes) and
    ``nll_loss``, the mean over the passes, so that both are comparable to a plain run's;
    ``rdrop_kl_loss``, not multiplied by alpha. With a warm-up also ``rdrop_alpha``.
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
        rdrop_dropout=(),
        rdrop_forward="concat",
        rdrop_start_update=0,
        rdrop_warmup_updates=0,
        rdrop_ce_reduction="sum",
        rdrop_loss="auto",
        rdrop_chunk_size=0,
    ):
        super().__init__(task, sentence_avg, label_smoothing, ignore_prefix_size, report_accuracy)
        check_rdrop_options(rdrop_alpha, rdrop_passes, label_smoothing, str(rdrop_ce_reduction))
        check_non_negative("chunk_size", rdrop_chunk_size)
        check_non_negative("start_update", rdrop_start_update)
        check_non_negative("warmup_updates", rdrop_warmup_updates)
        check_dropout_rates("dropout", rdrop_dropout, rdrop_passes, str(rdrop_forward))
        self.alpha: float = rdrop_alpha
        self.passes = rdrop_passes
        self.dropout: list[float] = list(rdrop_dropout)
        self.separate = str(rdrop_forward) == "separate"
        self.start_update: int = rdrop_start_update
        self.warmup_updates: int = rdrop_warmup_updates
        self.num_updates = 0  # before this step, set by _follow_updates
        self.ce_reduction: Any = str(rdrop_ce_reduction)
        self.loss_path = str(rdrop_loss)
        self.chunk_size = rdrop_chunk_size or None
        self._path_is_logged = False

    @classmethod
    def build_criterion(cls, cfg, task):
        try:
            criterion = super().build_criterion(cfg, task)
        except ValueError as error:  # the value of a flag: one line for the user, no traceback
            name, message = str(error).split(" ", 1)
            prefix = "" if hasattr(cfg, name) else "rdrop_"
            flag = f"--{prefix}{name}".replace("_", "-")
            raise SystemExit(f"error: {flag} {message}") from None
        if criterion.start_update or criterion.warmup_updates:
            criterion._follow_updates(task)
        return criterion

    def _follow_updates(self, task: Any) -> None:
        """Have the task hand on the trainer's number of updates, which it gives to the model only."""
        train_step = task.train_step

        @functools.wraps(train_step)
        def train_step_with_number(sample, model, criterion, optimizer, update_num, *args, **kwargs):
            self.num_updates = update_num
            return train_step(sample, model, criterion, optimizer, update_num, *args, **kwargs)

        task.train_step = train_step_with_number

    def current_alpha(self) -> float:
        """alpha, or its part so far: 0 at the start update, the whole after the warm-up."""
        if self.warmup_updates == 0:
            return self.alpha
        return self.alpha * min(1.0, (self.num_updates - self.start_update) / self.warmup_updates)

    def forward(self, model, sample, reduce=True):
        """Returns (objective, sample size, logging output), as every fairseq criterion.

        The sample is not modified, and the sample size is that of one pass.
        """
        if not model.training or self.num_updates < self.start_update:
            return super().forward(model, sample, reduce)

        layer = self._fused_projection(model) if reduce else None
        if layer is None:
            loss, nll_loss, kl_loss, accuracy = self._plain_loss(model, sample, reduce)
        else:
            loss, nll_loss, kl_loss, accuracy = self._fused_loss(model, layer, sample)

        sample_size = sample["target"].size(0) if self.sentence_avg else sample["ntokens"]
        logging_output = {
            "loss": loss.detach() / (self.passes if self.ce_reduction == "sum" else 1),
            "nll_loss": nll_loss.detach(),
            "rdrop_kl_loss": kl_loss.detach(),
            "ntokens": sample["ntokens"],
            "nsentences": sample["target"].size(0),
            "sample_size": sample_size,
        }
        if self.warmup_updates:
            # Logs of workers and of delayed updates are added up: reduce_metrics divides again.
            logging_output["rdrop_alpha"] = self.current_alpha() * sample["ntokens"]
        if self.report_accuracy:
            logging_output.update(accuracy)
        return loss, sample_size, logging_output

    def _forwards(self, model: Any, sample: dict[str, Any]) -> list[Callable[[], Any]]:
        """The calls of the model that make the passes: one over the repeated batch, or one a pass."""
        net_input = sample["net_input"]
        if not self.separate:
            repeated = repeat_batch(net_input, self.passes, sample["target"].size(0))
            return [lambda: model(**repeated)]

        def one_pass(rate: float | None) -> Any:
            with nullcontext() if rate is None else dropout_rate(model, rate):
                return model(**net_input)

        rates: Sequence[float | None] = self.dropout or [None] * self.passes
        return [functools.partial(one_pass, rate) for rate in rates]

    def _plain_loss(
        self, model: Any, sample: dict[str, Any], reduce: bool
    ) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
        net_outputs = [forward() for forward in self._forwards(model, sample)]
        parts = [model.get_normalized_probs(net_output, log_probs=True) for net_output in net_outputs]
        lprobs = torch.cat(parts) if len(parts) > 1 else parts[0]  # (K * B, T, V)
        target = model.get_targets(sample, net_outputs[0])  # (B, T)
        lprobs = lprobs[:, self.ignore_prefix_size :]
        target = target[:, self.ignore_prefix_size :]
        losses = rdrop_loss_from_lprobs(
            lprobs,
            target,
            alpha=self.current_alpha(),
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
        self, model: Any, layer: nn.Linear, sample: dict[str, Any]
    ) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
        target = sample["target"]
        if self.ignore_prefix_size > 0:
            target = target.clone()
            target[:, : self.ignore_prefix_size] = self.padding_idx
        options = Options(
            alpha=self.current_alpha(),
            passes=self.passes,
            label_smoothing=self.eps,
            ignore_index=self.padding_idx,
            ce_scale=1.0 if self.ce_reduction == "sum" else 1.0 / self.passes,
            chunk_size=self.chunk_size,
            max_positions=sample["ntokens"] if isinstance(sample["ntokens"], int) else None,
        )
        *first, last = self._forwards(model, sample)
        with replaced_forward(layer, lambda hidden: hidden):
            others = [forward()[0] for forward in first]  # hidden states (B, T, D) of all passes but the last

        def loss_of(hidden: Tensor) -> Tensor:
            hidden = torch.cat([*others, hidden]) if others else hidden  # (K * B, T, D)
            return linear_rdrop_sums(hidden, layer.weight, layer.bias, target, options)

        with replaced_forward(layer, loss_of):
            sums = last()[0]
        if sums.shape != (4,):
            raise RuntimeError(
                f"{type(model).__name__} changes the output of its projection: "
                "train it with --rdrop-loss plain"
            )
        loss = sums[0].clone()  # fairseq multiplies it in place, which autograd forbids for unbind's views
        nll_loss, kl_loss, n_correct = sums.detach()[1:]
        accuracy = {
            "n_correct": n_correct,
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
            if any("rdrop_alpha" in log for log in logging_outputs):
                alpha = sum(log.get("rdrop_alpha", 0) for log in logging_outputs) / ntokens
                metrics.log_scalar("rdrop_alpha", alpha, weight=0, round=4)  # weight 0: the latest
