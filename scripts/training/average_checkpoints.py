#!/usr/bin/env python3
"""Average the parameters of the last or the best N checkpoints of a fairseq-train run.

Reads them with torch's weights_only=True, so no checkpoint can run code. The result has no optimiser state:
it is for decoding.
"""

import argparse
import re
import sys
from pathlib import Path
from typing import Any

import torch

import rdrop_fairseq.checkpoint_safety  # noqa: F401  torch.load accepts what fairseq writes

EPOCH = re.compile(r"checkpoint(\d+)\.pt")
UPDATE = re.compile(r"checkpoint_\d+_(\d+)\.pt")
BEST = re.compile(r"checkpoint\.best_\w+_(-?\d+(?:\.\d+)?)\.pt")


def choose(folder: Path, which: str, count: int) -> list[Path]:
    """The ``count`` checkpoints to average, the one that matters most first.

    One is checkpoint_last.pt or checkpoint_best.pt. Several are, for ``last``, of the ends of epochs, or of
    updates where there are not enough of epochs; for ``best``, those of --keep-best-checkpoints by the
    figure in their names, higher is better (BLEU).
    """
    only = folder / f"checkpoint_{which}.pt"
    if count == 1 and only.is_file():
        return [only]
    for pattern in (BEST,) if which == "best" else (EPOCH, UPDATE):
        found = [
            (float(m.group(1)), path) for path in folder.iterdir() if (m := pattern.fullmatch(path.name))
        ]
        if len(found) >= count:
            return [path for _, path in sorted(found, reverse=True)[:count]]
    sys.exit(
        f"error: {folder} has fewer than {count} checkpoints to average: ask for fewer than {which}:{count}"
    )


def load(path: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of torch, pickle or zipfile, for a damaged or foreign file
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        sys.exit(f"error: cannot read {path}: {reason}")
    if "model" not in state:
        sys.exit(f"error: {path} is not a checkpoint of fairseq")
    return state


def average(paths: list[Path]) -> dict[str, Any]:
    """The first checkpoint with the mean of all parameters, without the optimiser's state."""
    result = load(paths[0])
    result.pop("last_optimizer_state", None)
    first: dict[str, torch.Tensor] = result["model"]
    # Tied parameters are one tensor under several names. A new tensor per name keeps each from being added
    # to twice; the names are tied again below, as separate copies would make the file larger.
    sums = {name: tensor.to(torch.float64, copy=True) for name, tensor in first.items()}
    for path in paths[1:]:
        model = load(path)["model"]
        if {n: t.shape for n, t in model.items()} != {n: t.shape for n, t in first.items()}:
            sys.exit(f"error: {path} has other parameters than {paths[0]}")
        for name, tensor in model.items():
            sums[name] += tensor
    means: dict[str, torch.Tensor] = {}
    tied: dict[tuple[int, torch.Size], str] = {}
    for name, tensor in first.items():
        owner = tied.setdefault((tensor.data_ptr(), tensor.shape), name)
        if owner != name and torch.equal(sums[owner], sums[name]):
            means[name] = means[owner]
        elif tensor.is_floating_point():
            means[name] = (sums[name] / len(paths)).to(tensor.dtype)
        else:
            means[name] = tensor  # a version number or the like
    result["model"] = means
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="of the checkpoints")
    parser.add_argument("out", type=Path)
    parser.add_argument("--which", choices=["last", "best"], default="last")
    parser.add_argument("--count", type=int, default=10)
    args = parser.parse_args()
    if not args.folder.is_dir():
        sys.exit(f"error: {args.folder} is not a folder")
    if args.count < 1:
        sys.exit(f"error: --count must be at least 1, got {args.count}")
    paths = choose(args.folder, args.which, args.count)
    part = args.out.with_name(f"{args.out.name}.part")
    torch.save(average(paths), part)
    part.rename(args.out)
    print("averaged:", *(path.name for path in paths))


if __name__ == "__main__":
    main()
