"""fairseq criterion: label-smoothed cross entropy with R-Drop (arXiv:2106.14448)."""

from __future__ import annotations

import logging
from typing import Any

from fairseq.criterions import register_criterion
from fairseq.criterions.label_smoothed_cross_entropy import LabelSmoothedCrossEntropyCriterion
from fairseq.tasks import TASK_REGISTRY

from .config import LabelSmoothedCrossEntropyRDropConfig
from .losses.checks import check_rdrop_options
from .metrics import logging_output, reduce_rdrop_metrics
from .objective import Objective
from .passes import Passes
from .schedule import Schedule

logger = logging.getLogger(__name__)


@register_criterion("label_smoothed_cross_entropy_rdrop", dataclass=LabelSmoothedCrossEntropyRDropConfig)
class LabelSmoothedCrossEntropyRDropCriterion(LabelSmoothedCrossEntropyCriterion):
    """In evaluation fairseq's label-smoothed criterion itself; in training the R-Drop objective.

    A training step is put together from what the update does (schedule.py), how its passes are made
    (passes.py, noise.py), how their outputs become the objective (objective.py), and what is logged
    (metrics.py).
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
        rdrop_cutoff=0.0,
        rdrop_forward="auto",
        rdrop_interval=1,
        rdrop_start_update=0,
        rdrop_warmup_updates=0,
        rdrop_ce_reduction="sum",
        rdrop_loss="auto",
        rdrop_chunk_size=0,
    ):
        super().__init__(task, sentence_avg, label_smoothing, ignore_prefix_size, report_accuracy)
        ce_reduction: Any = str(rdrop_ce_reduction)
        check_rdrop_options(rdrop_alpha, rdrop_passes, label_smoothing, ce_reduction)
        self.schedule = Schedule(
            rdrop_passes, rdrop_alpha, rdrop_start_update, rdrop_warmup_updates, rdrop_interval
        )
        self.passes = Passes(rdrop_passes, str(rdrop_forward), rdrop_dropout, rdrop_cutoff)
        self.objective = Objective(
            label_smoothing=label_smoothing,
            ce_reduction=ce_reduction,
            ignore_index=self.padding_idx,
            ignore_prefix_size=ignore_prefix_size,
            path=str(rdrop_loss),
            chunk_size=rdrop_chunk_size,
            count_correct=report_accuracy,
        )
        self._is_prepared = False

    @classmethod
    def build_criterion(cls, cfg, task):
        try:
            criterion = super().build_criterion(cfg, task)
        except ValueError as error:  # the value of a flag: one line for the user, no traceback
            name, message = str(error).split(" ", 1)
            prefix = "" if hasattr(cfg, name) else "rdrop_"
            flag = f"--{prefix}{name}".replace("_", "-")
            raise SystemExit(f"error: {flag} {message}") from None
        criterion.schedule.follow(task)
        return criterion

    def forward(self, model, sample, reduce=True):
        """Returns (objective, sample size, logging output), as every fairseq criterion.

        The sample is not modified, and the sample size is that of one pass.
        """
        if not model.training:
            return super().forward(model, sample, reduce)
        if not self._is_prepared:
            self._prepare(model, sample)
        update = self.schedule.now()
        try:
            forwards = self.passes.forwards(model, sample, update.passes)
        except ValueError as error:
            raise SystemExit(f"error: {error}") from None
        sums = self.objective(model, sample, forwards, update, reduce)
        sample_size = sample["target"].size(0) if self.sentence_avg else sample["ntokens"]
        log = logging_output(
            sums,
            sample,
            sample_size,
            update,
            ce_reduction=self.objective.ce_reduction,
            log_alpha=self.schedule.warmup_updates > 0,
        )
        return sums.loss, sample_size, log

    def compute_loss(self, model, net_output, sample, reduce=True):
        """fairseq's, in evaluation and with one pass. A task that makes its training loss by it leaves out
        :meth:`forward`, where the passes are: that ends the training.
        """
        if model.training and self.passes.count > 1:
            raise SystemExit(
                f"error: the task {_task_name(self.task)} calls compute_loss and not the criterion: R-Drop "
                "would not be applied; train it with --criterion label_smoothed_cross_entropy, or "
                "--rdrop-passes 1"
            )
        return super().compute_loss(model, net_output, sample, reduce)

    def _prepare(self, model, sample):
        """Choose loss and forward for the model, which fairseq shows to a criterion in its first step only.

        What the model cannot do ends the training here, before anything is computed, in one line.
        """
        try:
            path = self.objective.prepare(model)
            forward = self.passes.prepare(model, sample)
        except ValueError as error:
            raise SystemExit(f"error: {error}") from None
        count = self.passes.count
        how = path if count == 1 else f"{path}, forward {forward}"
        logger.info(f"R-Drop: {self.schedule}, {how}")
        if count > 1 and not self.passes.differ(model):
            logger.warning(
                f"R-Drop: the {count} passes are the same, at {count} times the price, as every dropout "
                "rate is 0, unless the model has noise of another kind: set --dropout above 0 (or "
                "--rdrop-passes 1)"
            )
        self._is_prepared = True

    @classmethod
    def reduce_metrics(cls, logging_outputs) -> None:
        """Aggregate the logging outputs of the workers and of delayed updates."""
        super().reduce_metrics(logging_outputs)
        reduce_rdrop_metrics(logging_outputs)


def _task_name(task):
    """The name it is registered by, else that of its class."""
    names = [name for name, registered in TASK_REGISTRY.items() if registered is type(task)]
    return names[0] if names else type(task).__name__
