#!/usr/bin/env python3
"""Train a small classifier on scikit-learn's handwritten digits, with and without R-Drop.

Per seed: another stratified split of the 1,797 images (--train-size train, 600 test, the rest valid),
another initialisation, other batches. Systems: cross entropy; the same for K times the epochs, which
costs what R-Drop costs; R-Drop. Reported are accuracies after the last epoch, mean and standard deviation
over the seeds, and the mean difference from cross entropy in test accuracy with its standard error.
"""

import platform
import statistics
import time
from typing import Any

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

from rdrop_fairseq import rdrop_loss
from rdrop_fairseq.losses.checks import MAX_ALPHA
from rdrop_tools import cli
from rdrop_tools.lines import write_json

CLASSES, IMAGES, TEST_SIZE = 10, 1797, 600
Split = tuple[Tensor, Tensor]  # images (N, 64) in [0, 1], labels (N)


def make_splits(seed: int, train_size: int) -> dict[str, Split]:
    digits = load_digits()
    x = torch.tensor(digits.data / 16, dtype=torch.float32)
    y = torch.tensor(digits.target)
    rest, test = train_test_split(range(len(y)), test_size=TEST_SIZE, stratify=y, random_state=seed)
    train, valid = train_test_split(rest, train_size=train_size, stratify=y[rest], random_state=seed)
    return {name: (x[i], y[i]) for name, i in (("train", train), ("valid", valid), ("test", test))}


def make_model(hidden: int, dropout: float) -> nn.Module:
    return nn.Sequential(
        *[nn.Linear(64, hidden), nn.ReLU(), nn.Dropout(dropout)],
        *[nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(dropout)],
        nn.Linear(hidden, CLASSES),
    )


def train(model: nn.Module, data: Split, epochs: int, alpha: float | None, passes: int) -> None:
    """alpha None: cross entropy in one pass."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    model.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(data[1])).split(64):
            x, y = data[0][batch], data[1][batch]
            if alpha is None:
                loss = F.cross_entropy(model(x), y)
            else:
                logits = model(x.repeat(passes, 1))  # the passes get dropout masks of their own
                loss = rdrop_loss(
                    logits, y, alpha=alpha, passes=passes, ce_reduction="mean", reduction="mean"
                ).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


@torch.no_grad()
def accuracy(model: nn.Module, data: Split) -> float:
    """In percent."""
    model.eval()
    correct: float = (model(data[0]).argmax(-1) == data[1]).double().mean().item()
    return 100 * correct


def main() -> None:
    parser = cli.Parser(__doc__)
    size = cli.integer(1)
    parser.add_argument(
        "--alpha",
        type=cli.number(0, MAX_ALPHA),
        default=3.0,
        help="weight of the KL, cross entropies averaged",
    )
    parser.add_argument("--passes", type=cli.integer(2), default=2)
    parser.add_argument("--dropout", type=cli.number(0, 0.99), default=0.1)
    parser.add_argument("--hidden", type=size, default=256)
    # A split has an image of each class at least.
    parser.add_argument("--train-size", type=cli.integer(CLASSES, IMAGES - TEST_SIZE - CLASSES), default=200)
    parser.add_argument("--epochs", type=size, default=200)
    parser.add_argument(
        "--seeds", type=cli.integer(2), default=10, help="at least 2, for a standard deviation"
    )
    parser.add_argument("--out", type=cli.output_file, help="JSON file for the results")
    args = parser.parse_args()

    systems: dict[str, tuple[int, float | None]] = {
        "cross entropy": (args.epochs, None),
        f"cross entropy, {args.passes} x the epochs": (args.passes * args.epochs, None),
        f"R-Drop, alpha {args.alpha:g}": (args.epochs, args.alpha),
    }
    rows: list[dict[str, Any]] = []
    print(f"{'':32}{'valid':>14}{'test':>14}{'difference':>14}{'s / seed':>10}")
    for name, (epochs, alpha) in systems.items():
        start = time.perf_counter()
        scores: dict[str, list[float]] = {"valid": [], "test": []}
        for seed in range(args.seeds):
            splits = make_splits(seed, args.train_size)
            torch.manual_seed(seed)
            model = make_model(args.hidden, args.dropout)
            train(model, splits["train"], epochs, alpha, args.passes)
            for split, values in scores.items():
                values.append(accuracy(model, splits[split]))
        seconds = (time.perf_counter() - start) / args.seeds
        rows.append({"system": name, "epochs": epochs, "alpha": alpha, **scores, "seconds_per_seed": seconds})
        cells = [f"{statistics.mean(v):.2f} ± {statistics.stdev(v):.2f}" for v in scores.values()]
        gains = [ours - first for ours, first in zip(scores["test"], rows[0]["test"], strict=True)]
        error = statistics.stdev(gains) / len(gains) ** 0.5
        cells.append(f"{statistics.mean(gains):+.2f} ± {error:.2f}" if len(rows) > 1 else "")
        print(f"{name:32}{cells[0]:>14}{cells[1]:>14}{cells[2]:>14}{seconds:>10.1f}", flush=True)
    if args.out:
        versions = {"python": platform.python_version(), "torch": torch.__version__}
        settings = {key: value for key, value in vars(args).items() if key != "out"}
        write_json(args.out, {"settings": settings, "versions": versions, "systems": rows})


if __name__ == "__main__":
    cli.run(main)
