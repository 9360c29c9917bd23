"""Reads what fairseq-train and fairseq-hydra-train have logged, in any format of --log-format.

"simple" and "json" have records of every --log-interval updates (train_inner), of every epoch (train) and of
every validation, under the name of its subset (valid); "tqdm" has no train_inner, "none" has nothing.
"""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path

from rdrop_tools.lines import iter_raw

TRAINING = ("train_inner", "train")
# "... | train_inner | epoch 001:  25 / 429 loss=9.1, num_updates=25, ..." or "... | dev | epoch 001 |
# valid on 'dev' subset | loss 7.2 | num_updates 400", or JSON with the same names after the prefix.
# fairseq-hydra-train has "[train_inner][INFO] - " for the prefix.
RECORD = re.compile(r"(?:\| INFO \| ([^|]+) \| |\[([^]]+)\]\[INFO\] - )(.*)")
VALUE = re.compile(r"(\w+)[= ](-?\d+\.?\d*(?:e[-+]?\d+)?)(?=[,|\s]|$)")
POSITION = re.compile(r"epoch (\d+)(?::\s+(\d+) / (\d+)| \|)")
START = re.compile(r"No existing checkpoint found|Loaded checkpoint .* @ (\d+) updates\)")

Curves = dict[str, dict[int, float]]  # {name: {update: value}}


def read_log(path: Path, warn: Callable[[str], None] = lambda _: None) -> dict[str, Curves]:
    """{"train_inner" | "train" | SUBSET: {name: {update: value}}}; what was done again counts once.

    The subsets are those of ``--valid-subset``; "valid" is there in any case.

    Among the names of train_inner and train is ``position``, in epochs. Their ``wall`` is over all runs: a
    resumed one starts again at 0. Records that are not whole, and those after the update from which a later
    run in the same log went on, are left out; ``warn`` is told.
    """
    log = _Log()
    for number, raw in enumerate(iter_raw(path), 1):
        text = raw.decode("utf-8", "replace")
        if start := START.search(text):
            log.start_run(int(start.group(1) or 0))
        if not (record := RECORD.search(text)):
            continue
        kind, body = record.group(1) or record.group(2), record.group(3).strip()
        # Others log, too: a subset is known by its name in the record.
        if kind not in log.curves and f"valid on '{kind}' subset" not in body and f'"{kind}_' not in body:
            continue
        values = None if "\ufffd" in text or not raw.endswith(b"\n") else _values(kind, body)
        if values is None:
            log.damaged.append(number)
        else:
            log.add(kind, values)
    if log.damaged:
        warn(f"{path}: left out {len(log.damaged)} records that are not whole, first line {log.damaged[0]}")
    if log.abandoned:
        warn(f"{path}: left out {log.abandoned} records after the update from which a later run went on")
    return log.curves


class _Log:
    def __init__(self) -> None:
        self.curves: dict[str, Curves] = {kind: {} for kind in (*TRAINING, "valid")}
        self.damaged: list[int] = []
        self.abandoned = 0
        self.update = 0  # of the latest record
        self.wall = self.earlier = 0.0  # seconds: of this run up to now, and of the runs before

    def start_run(self, update: int) -> None:
        """A run that goes on from ``update``: what an earlier one did after it was in vain."""
        self.earlier, self.wall = self.earlier + self.wall, 0.0
        self.go_back(update)

    def go_back(self, update: int) -> None:
        for curves in self.curves.values():
            self.abandoned += len({u for points in curves.values() for u in points if u > update})
            for name, points in curves.items():
                curves[name] = {u: value for u, value in points.items() if u <= update}
        self.update = update

    def add(self, kind: str, values: dict[str, float]) -> None:
        update = int(values["num_updates"])
        if update < self.update:  # the beginning of its run is not in the log
            self.go_back(update)
        self.update = update
        if kind in TRAINING and "wall" in values:
            if values["wall"] < self.wall:
                self.earlier += self.wall
            self.wall = values["wall"]
            values["wall"] += self.earlier
        for name, value in values.items():
            self.curves.setdefault(kind, {}).setdefault(name, {})[update] = value


def _values(kind: str, text: str) -> dict[str, float] | None:
    """The finite numbers of a record by their names; None: it is not whole."""
    try:
        if text.startswith("{"):
            found = {name.removeprefix(f"{kind}_"): value for name, value in json.loads(text).items()}
            if kind in TRAINING:
                found["position"] = found.get("update", found.get("epoch"))  # the latter at its end
        else:
            found = dict(VALUE.findall(text))
            if kind in TRAINING and (match := POSITION.match(text)):
                epoch, batch, batches = (int(part or 1) for part in match.groups())
                found["position"] = epoch - 1 + batch / batches
        values = {name: number for name, value in found.items() if (number := _number(value)) is not None}
    except (ValueError, ZeroDivisionError, RecursionError):
        return None
    return values if values.get("num_updates", -1) >= 0 else None


def _number(value: object) -> float | None:
    """fairseq writes numbers as strings, too; a name, null, NaN and infinity are none."""
    try:
        number = float(value) if isinstance(value, (str, int, float)) else math.nan
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
