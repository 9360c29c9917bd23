"""What an update does: the number of passes, and how much the KL divergence counts."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from .validation import check_non_negative


class Update(NamedTuple):
    passes: int
    alpha: float


class Schedule:
    """One pass before ``start_update``; then ``passes`` passes, with alpha growing linearly from 0 over
    ``warmup_updates`` updates.

    Raises:
        ValueError: a negative number of updates.
    """

    def __init__(self, passes: int, alpha: float, start_update: int = 0, warmup_updates: int = 0) -> None:
        check_non_negative("start_update", start_update)
        check_non_negative("warmup_updates", warmup_updates)
        self.passes = passes
        self.alpha = alpha
        self.start_update = start_update
        self.warmup_updates = warmup_updates
        self.num_updates = 0  # before this step; set by follow()

    def follow(self, task: Any) -> None:
        """Have the task hand on the trainer's number of updates, which it gives to the model only."""
        if not (self.start_update or self.warmup_updates):
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
        """What the coming update does. A single pass has no KL, so alpha is 0."""
        if self.passes == 1 or self.num_updates < self.start_update:
            return Update(passes=1, alpha=0.0)
        if self.warmup_updates == 0:
            return Update(self.passes, self.alpha)
        progress = (self.num_updates - self.start_update) / self.warmup_updates
        return Update(self.passes, self.alpha * min(1.0, progress))
