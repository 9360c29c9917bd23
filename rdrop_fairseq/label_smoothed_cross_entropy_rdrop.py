"""fairseq criterion: label-smoothed cross entropy with R-Drop (arXiv:2106.14448)."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from fairseq.criterions import register_criterion
from fairseq.criterions.label_smoothed_cross_entropy import LabelSmoothedCrossEntropyCriterion
from fairseq.tasks import TASK_REGISTRY
from torch import nn

from .config import LabelSmoothedCrossEntropyRDropConfig
from .errors import RDropError, ends_in_one_line
from .fairseq_models import check_input, check_wrapper, in_one_call, unwrapped
from .losses.checks import CEReduction, check_alpha, check_choice, check_epsilon, check_integer
from .metrics import logging_output, reduce_rdrop_metrics
from .objective import Objective
from .passes import Passes
from .schedule import Schedule

logger = logging.getLogger(__name__)


@dataclass
class Choice:
    """What the first step of a model has chosen: the layer to fuse the loss with, and separate passes."""

    layer: nn.Linear | None
    separate: bool


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
        try:
            check_epsilon("--label-smoothing", label_smoothing)
            check_choice("--rdrop-ce-reduction", ce_reduction, CEReduction)
            self.schedule = Schedule(
                check_integer("--rdrop-passes", rdrop_passes, 1),
                check_alpha("--rdrop-alpha", rdrop_alpha),
                rdrop_start_update,
                rdrop_warmup_updates,
                rdrop_interval,
            )
            self.passes = Passes(rdrop_passes, str(rdrop_forward), rdrop_dropout, rdrop_cutoff)
            self.objective = Objective(
                label_smoothing=label_smoothing,
                ce_reduction=ce_reduction,
                ignore_index=self.padding_idx,
                ignore_prefix_size=ignore_prefix_size,
                loss_kind=str(rdrop_loss),
                chunk_size=rdrop_chunk_size,
                count_correct=report_accuracy,
            )
        except ValueError as error:
            raise RDropError(str(error)) from None
        self._choices: WeakKeyDictionary[nn.Module, Choice] = WeakKeyDictionary()

    @classmethod
    @ends_in_one_line
    def build_criterion(cls, cfg, task):
        criterion = super().build_criterion(cfg, task)
        criterion.schedule.follow(task)
        return criterion

    @ends_in_one_line
    def forward(self, model, sample, reduce=True):
        """Returns (objective, sample size, logging output), as every fairseq criterion.

        The sample is not modified, and the sample size is that of one pass.

        Raises:
            RDropError: the model or the batch cannot be trained so.
        """
        if not model.training:
            return super().forward(model, sample, reduce)
        update = self.schedule.now()
        inner = unwrapped(model)
        if inner not in self._choices:
            self._choices[inner] = self._choose(model, sample)
        choice = self._choices[inner]
        net_input, noises = self._passes_of(sample, update.passes, choice)

        def sums_of(net_input):
            forwards = [partial(_forward, inner, net_input, noise) for noise in noises]
            return self.objective(inner, choice.layer, sample, forwards, update, reduce)

        sums = in_one_call(model, net_input, sums_of)
        sums = sums._replace(loss=sums.loss.clone())  # fairseq multiplies it in place: no view may be
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

    def _passes_of(self, sample, count, choice):
        """The ``net_input`` of the forwards that make ``count`` passes, and the noise of each."""
        if count > 1 and not choice.separate:
            repeated, reason = self.passes.repeated(sample, count)
            if reason is None:
                return repeated, [self.passes.noise_of_one_forward(sample["target"].size(0))]
            logger.info(f"R-Drop: forward separate from now on ({reason})")
            choice.separate = True
        return sample["net_input"], self.passes.noise_of_forwards(count)

    @ends_in_one_line
    def compute_loss(self, model, net_output, sample, reduce=True):
        """fairseq's, in evaluation and with one pass. A task that makes its training loss by it leaves out
        :meth:`forward`, where the passes are: that is an RDropError.
        """
        if model.training and self.passes.count > 1:
            raise RDropError(
                f"the task {_task_name(self.task)} calls compute_loss and not the criterion: R-Drop "
                "would not be applied; train it with --criterion label_smoothed_cross_entropy, or "
                "--rdrop-passes 1"
            )
        return super().compute_loss(model, net_output, sample, reduce)

    def _choose(self, model, sample):
        """Choose loss and passes for the model, which fairseq shows to a criterion in its first step only.

        What the model cannot do ends the training here, before anything is computed, in one line.
        """
        inner = unwrapped(model)
        check_wrapper(model)
        check_input(inner, sample)
        separate, how_passes = self.passes.choose(inner, sample)
        layer, how_loss = self.objective.choose(inner, sample)
        count = self.passes.count
        logger.info(f"R-Drop: {self.schedule}, {how_loss}" + (f", forward {how_passes}" if count > 1 else ""))
        if count > 1 and not self.passes.differ(inner):
            logger.warning(
                f"R-Drop: the {count} passes are the same, at {count} times the price, as every dropout "
                "rate is 0, unless the model has noise of another kind: set --dropout above 0 (or "
                "--rdrop-passes 1)"
            )
        return Choice(layer, separate)

    @classmethod
    def reduce_metrics(cls, logging_outputs) -> None:
        """Aggregate the logging outputs of the workers and of delayed updates."""
        super().reduce_metrics(logging_outputs)
        reduce_rdrop_metrics(logging_outputs)


def _forward(model, net_input, noise):
    with noise(model):
        return model(**net_input)


def _task_name(task):
    """The name it is registered by, else that of its class."""
    names = [name for name, registered in TASK_REGISTRY.items() if registered is type(task)]
    return names[0] if names else type(task).__name__
