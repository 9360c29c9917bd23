"""What a training has reached on valid, from its log; of a plain one also what R-Drop may bring.

The best checkpoint is the one of the highest BLEU in the log, or, without BLEU, of the lowest loss. --advice
sets the gap between its nll on valid and on train beside the gaps of the trainings in gains.csv, and
says what R-Drop brought there.
"""

import csv
from pathlib import Path

from rdrop_tools import cli
from rdrop_tools.lines import read_lines
from rdrop_tools.training.training_log import read_log

GAINS = Path(__file__).with_name("gains.csv")


def best(log: Path) -> tuple[int, float | None, float, float] | None:
    """Of the best validation: update, BLEU, and nll on valid and on train, in bits per token.

    That on train is of the epoch up to then, with dropout. None: nothing was validated, or no epoch ended.
    """
    curves = read_log(log)
    valid, train = curves["valid"], curves["train"].get("nll_loss", {})
    losses = {update: -loss for update, loss in valid.get("loss", {}).items()}
    scores = valid.get("bleu", losses)
    if not scores or not train:
        return None
    update = max(scores, key=lambda update: (scores[update], update))
    nearest = min(train, key=lambda other: abs(other - update))
    return update, valid.get("bleu", {}).get(update), valid["nll_loss"][update], train[nearest]


def advice(task: str, gap: float) -> list[str]:
    """The measured gains of a task, the widest gap first, and which of them this training is nearest to.

    They are of R-Drop in a whole training. Those of R-Drop that goes on from a plain one come last.
    """
    rows = [row for row in csv.DictReader(read_lines(GAINS)) if row["task"] == task]
    gaps = {float(row["valid_nll"]) - float(row["train_nll"]): row for row in rows if row["begins"] == "new"}
    lines = [
        f"  gap {measured:5.2f} ({row['train_nll']}, {row['valid_nll']}): "
        f"R-Drop brought {row['gain']}; {row['data']}"
        for measured, row in sorted(gaps.items(), reverse=True)
    ]
    nearest = min(gaps, key=lambda measured: abs(measured - gap))
    last = f"Nearest is a gap of {nearest:.2f}, where R-Drop brought {gaps[nearest]['gain']}."
    finishes = [
        f"As the finish of a plain training it brought {row['gain']} over one without it; {row['data']}."
        for row in rows
        if row["begins"] == "trained"
    ]
    return ["Measured, of whole trainings:", *lines, last, *finishes]


def main() -> None:
    parser = cli.Parser(__doc__)
    parser.add_argument("log", type=cli.input_file, help="of fairseq-train")
    tasks = ["translation", "summarization"]
    parser.add_argument("--advice", choices=tasks, help="for a plain training: what is trained for")
    args = parser.parse_args()
    point = best(args.log)
    if point is None:
        print("The log has no validation and end of an epoch to tell what was reached.")
        return
    update, bleu, valid_nll, train_nll = point
    score = "" if bleu is None else f"BLEU {bleu:.2f}, "
    print(
        f"best on valid, after {update:,} updates: {score}nll {valid_nll:.2f} on valid, "
        f"{train_nll:.2f} on train with dropout (bits per token)"
    )
    if args.advice:
        gap = valid_nll - train_nll
        print(
            f"nll on valid minus nll on train is {gap:.2f}: R-Drop pays the more the wider this "
            "gap is; where there is none, the model underfits."
        )
        print(*advice(args.advice, gap), sep="\n")


if __name__ == "__main__":
    cli.run(main)
