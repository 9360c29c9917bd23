#!/usr/bin/env python3
"""What a training has reached on valid, from its log; of a plain one also what R-Drop may bring.

The best checkpoint is the one of the highest BLEU in the log, or, without BLEU, of the lowest loss. --advice
sets the gap between its nll on valid and on train beside the gaps of the trainings in results/multi30k, and
says what R-Drop brought there.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from scripts.common import cli
from scripts.experiments import evidence, samsum_table
from scripts.experiments.evidence import Brought, brought
from scripts.training.training_log import read_log

RESULTS = Path(__file__).resolve().parents[2] / "results"


class Best(NamedTuple):
    """The best validation: nll in bits per token, the one on train of the epoch up to then, with dropout."""

    update: int
    bleu: float | None
    train_nll: float
    valid_nll: float


def best(log: Path) -> Best | None:
    """None where nothing was validated, or no epoch ended."""
    curves = read_log(log)
    valid, train = curves["valid"], curves["train"].get("nll_loss", {})
    losses = {update: -loss for update, loss in valid.get("loss", {}).items()}
    scores = valid.get("bleu", losses)
    if not scores or not train:
        return None
    update = max(scores, key=lambda update: (scores[update], update))
    nearest = min(train, key=lambda other: abs(other - update))
    return Best(update, valid.get("bleu", {}).get(update), train[nearest], valid["nll_loss"][update])


def gap_of(point: Best | Brought) -> float:
    return point.valid_nll - point.train_nll


def of_translation(point: Best) -> list[str]:
    """The measured rows, the widest gap first, and which of them this training is nearest to."""
    rows = sorted(brought(evidence.read_results(RESULTS / "multi30k")), key=gap_of, reverse=True)
    if not rows:
        return []
    nearest = min(rows, key=lambda row: abs(gap_of(row) - gap_of(point)))
    lines = [
        f"  gap {gap_of(row):5.2f} ({row.train_nll:.2f}, {row.valid_nll:.2f}): R-Drop brought "
        f"{row.bleu:+.2f} BLEU on valid; {row.size[0]} pairs, {row.size[1]} parameters"
        for row in rows
    ]
    last = f"Nearest is a gap of {gap_of(nearest):.2f}, where R-Drop brought {nearest.bleu:+.2f} BLEU."
    return ["Measured on Multi30k en-de:", *lines, last]


def of_summarization(point: Best) -> list[str]:
    gains = samsum_table.samsum_gains(samsum_table.read_results(RESULTS / "samsum"))
    return [f"Measured on SAMSum, from scratch: {gains}"]


ADVICE: dict[str, Callable[[Best], list[str]]] = {
    "translation": of_translation,
    "summarization": of_summarization,
}


def main() -> None:
    parser = cli.Parser(__doc__)
    parser.add_argument("log", type=cli.input_file, help="of fairseq-train")
    parser.add_argument("--advice", choices=list(ADVICE), help="for a plain training: what is trained for")
    args = parser.parse_args()
    point = best(args.log)
    if point is None:
        print("The log has no validation and end of an epoch to tell what was reached.")
        return
    score = "" if point.bleu is None else f"BLEU {point.bleu:.2f}, "
    print(
        f"best on valid, after {point.update:,} updates: {score}nll {point.valid_nll:.2f} on valid, "
        f"{point.train_nll:.2f} on train with dropout (bits per token)"
    )
    if args.advice:
        print(
            f"nll on valid minus nll on train is {gap_of(point):.2f}: R-Drop pays the more the wider this "
            "gap is; where there is none, the model underfits."
        )
        print(*ADVICE[args.advice](point), sep="\n")


if __name__ == "__main__":
    cli.run(main)
