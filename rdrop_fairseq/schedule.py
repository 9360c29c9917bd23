"""What an update does: the number of passes, and how much the KL divergence counts."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from .errors import RDropError
from .losses.checks import check_integer, check_non_negative


class Update(NamedTuple):
    """What one update does.

    passes: the number of passes.
    alpha: the weight of the KL divergence, had every update one; 0 in a single pass.
    kl_weight: its weight in this update, which stands for an interval of updates.
    ce_weight: how often the cross entropy of each pass counts under ``ce_reduction="sum"``.
    """

    passes: int
    alpha: float
    kl_weight: float
    ce_weight: int = 1


class Schedule:
    """The passes and the weight of the KL divergence, update by update.

    There is one pass before ``start_update``. From there every ``interval``-th update has R-Drop, and the
    others have one pass. Alpha grows linearly from 0 over ``warmup_updates`` updates after the start.
    An update with R-Drop multiplies it by ``interval``, so that the expected gradient is that of R-Drop in
    every update (lazy regularisation, Karras et al. 2020, arXiv:1912.04958). A single pass counts for all
    passes, so that the sum of their cross entropies has one scale in all updates.

    Raises:
        ValueError: a negative number of updates, or an interval below 1.
    """

    def __init__(
        self, passes: int, alpha: float, start_update: int = 0, warmup_updates: int = 0, interval: int = 1
    ) -> None:
        check_non_negative("--rdrop-start-update", start_update)
        check_non_negative("--rdrop-warmup-updates", warmup_updates)
        check_integer("--rdrop-interval", interval, 1)
        self.passes = passes
        self.alpha = alpha
        self.start_update = start_update
        self.warmup_updates = warmup_updates
        self.interval = interval
        self.num_updates: int | None = None  # before this step; set by follow()

    @property
    def depends_on_the_update(self) -> bool:
        return self.passes > 1 and bool(self.start_update or self.warmup_updates or self.interval > 1)

    def follow(self, task: Any) -> None:
        """Have the task hand on the trainer's number of updates, which it gives to the model only."""
        if not self.depends_on_the_update:
            return
        train_step = task.train_step

        @functools.wraps(train_step)
        def train_step_with_number(
            sample: Any,
            model: Any,
            criterion: Any,
            optimizer: Any,
            update_num: int,
            *args: Any,
            **kwargs: Any,
        ) -> Any:
            self.num_updates = update_num
            return train_step(sample, model, criterion, optimizer, update_num, *args, **kwargs)

        task.train_step = train_step_with_number

    def now(self) -> Update:
        """What the coming update does.

        Raises:
            RDropError: that depends on the number of the update, and nobody has told it.
        """
        if self.passes == 1:
            return Update(passes=1, alpha=0.0, kl_weight=0.0)
        if self.num_updates is None:
            if self.depends_on_the_update:
                raise RDropError(
                    "--rdrop-start-update, --rdrop-warmup-updates and --rdrop-interval need the number of "
                    "the update, which task.train_step hands on to a criterion made by "
                    "task.build_criterion: use both, or set criterion.schedule.num_updates before each step"
                )
            return Update(self.passes, self.alpha, kl_weight=self.alpha)
        since_start = self.num_updates - self.start_update
        if since_start < 0 or since_start % self.interval:
            return Update(passes=1, alpha=0.0, kl_weight=0.0, ce_weight=self.passes)
        alpha = self.alpha
        if since_start < self.warmup_updates:
            alpha *= since_start / self.warmup_updates
        return Update(self.passes, alpha, kl_weight=alpha * self.interval)

    def __str__(self) -> str:
        """In words, for the log: 2 passes in every 4th update, alpha 5 (20 in those updates)."""
        if self.passes == 1:
            return "1 pass"
        words = f"{self.passes} passes"
        if self.interval > 1:
            words += f" in every {ordinal(self.interval)} update"
        if self.start_update:
            words += f" from update {self.start_update:,} on"
        words += f", alpha {self.alpha:g}"
        if self.interval > 1:
            words += f" ({self.alpha * self.interval:g} in those updates)"
        return words + (f", reached after {self.warmup_updates:,} updates" if self.warmup_updates else "")


def ordinal(number: int) -> str:
    """2nd, 3rd, 4th, 11th, 22nd."""
    endings = {1: "st", 2: "nd", 3: "rd"}
    return f"{number:,}" + ("th" if number % 100 in (11, 12, 13) else endings.get(number % 10, "th"))
