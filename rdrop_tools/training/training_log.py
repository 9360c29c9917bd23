"""Reads what fairseq-train and fairseq-hydra-train have logged, in any format of --log-format.

"simple" and "json" have records of every --log-interval updates (train_inner), of every epoch (train) and of
every validation, under the name of its subset (valid); "tqdm" has no train_inner, "none" has nothing.
"""

import re
from pathlib import Path

from rdrop_tools.lines import iter_raw

TRAINING = ("train_inner", "train")
# "... | train_inner | epoch 001:  25 / 429 loss=9.1, num_updates=25, ..." or "... | dev | epoch 001 |
# valid on 'dev' subset | loss 7.2 | num_updates 400", or JSON with the same names after the prefix.
# fairseq-hydra-train has "[train_inner][INFO] - " for the prefix.
RECORD = re.compile(r"(?:\| INFO \| ([^|]+) \| |\[([^]]+)\]\[INFO\] - )(.*)\n")
VALUE = re.compile(r'(\w+)(?:[= ]|": "?)(-?\d+\.?\d*(?:e[-+]?\d+)?)(?=[",|}\s]|$)')  # not nan, inf or null
POSITION = re.compile(r"epoch (\d+):\s+(\d+) / (\d+)")

Curves = dict[str, dict[int, float]]  # {name: {update: value}}


def read_log(path: Path) -> dict[str, Curves]:
    """{"train_inner" | "train" | SUBSET: {name: {update: value}}}; what was done again counts once.

    The subsets are those of ``--valid-subset``; "valid" is there in any case. Among the names of train_inner
    and train is ``position``, in epochs. Their ``wall`` is over all runs: a resumed one starts again at 0.
    """
    log: dict[str, Curves] = {kind: {} for kind in (*TRAINING, "valid")}
    latest = 0
    wall = earlier = 0.0  # seconds: of this run up to now, and of the runs before
    for raw in iter_raw(path):
        if not (record := RECORD.search(raw.decode("utf-8", "replace"))):
            continue
        kind, body = record.group(1) or record.group(2), record.group(3)
        # Others log, too: a subset is known by its name in the record.
        if kind not in log and f"valid on '{kind}' subset" not in body and f'"{kind}_' not in body:
            continue
        prefix = f"{kind}_" if body.startswith("{") else ""
        values = {name.removeprefix(prefix): float(value) for name, value in VALUE.findall(body)}
        if "num_updates" not in values:
            continue
        if kind in TRAINING:
            values["position"] = _position(body, values)
            if "wall" in values:
                earlier += wall if values["wall"] < wall else 0
                wall = values["wall"]
                values["wall"] += earlier
        update = int(values["num_updates"])
        if update < latest:  # a later run, which does again what an earlier one did after its last checkpoint
            _drop(log, update)
        latest = update
        for name, value in values.items():
            log.setdefault(kind, {}).setdefault(name, {})[update] = value
    return log


def _position(body: str, values: dict[str, float]) -> float:
    if match := POSITION.match(body):
        epoch, batch, batches = map(int, match.groups())
        return epoch - 1 + batch / batches
    return values.get("update", values.get("epoch", 0))  # of JSON; at the end of an epoch, its number


def _drop(log: dict[str, Curves], first: int) -> None:
    """Takes away what is of the update ``first`` or later."""
    for curves in log.values():
        for points in curves.values():
            for update in [update for update in points if update >= first]:
                del points[update]
