"""Plot loss, KL, BLEU and speed from any number of fairseq-train logs (--log-format simple, json, or tqdm).

What a later run in a log did again counts once. A log without lines of --log-interval updates is plotted by
epochs.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rdrop_tools import cli
from rdrop_tools.lines import check_outputs, replacing
from rdrop_tools.training.training_log import Curves, read_log

# A panel's title, what it shows of training and of every validation subset ("": nothing)
PANELS = [
    ("loss (bits per token)", "loss", "loss"),
    ("KL between passes (bits per token)", "rdrop_kl_loss", ""),
    ("BLEU of validation", "", "bleu"),
    ("words per second", "wps", ""),
]
LINE_STYLES = ["-", "--", ":", "-."]
UNITS = {"update": "updates", "epoch": "epochs", "time": "hours of training"}


def read_curves(log: Path) -> dict[str, Curves]:
    """{"train" | SUBSET: curves}: of training by --log-interval, or, where it has logged none, by epoch."""
    records = read_log(log)
    by_interval, by_epoch = records.pop("train_inner"), records.pop("train")
    train = by_interval or by_epoch
    if not train and not any(records.values()):
        raise cli.InputError(
            f"{log} has no train_inner, train or valid lines: "
            "is it the log of fairseq-train, with a --log-format other than none?"
        )
    return {"train": train, **records}


def x_axis(train: Curves, x: str) -> Callable[[int], float]:
    """From an update to its place on the x axis, between the records of training where it is not one."""
    if x == "update":
        return float
    points = train.get({"epoch": "position", "time": "wall"}[x], {})
    if not points:
        raise cli.InputError(f"no log line has what --x {x} needs")
    unit = 3600 if x == "time" else 1
    updates = sorted(points)
    places = [points[update] / unit for update in updates]
    return lambda update: float(np.interp(update, updates, places))


def names(logs: list[Path]) -> list[str]:
    """What tells the logs apart: their folders, or all of their paths."""
    folders = [log.parent.name for log in logs]
    return folders if all(folders) and len(set(folders)) == len(logs) else [str(log) for log in logs]


def plot(logs: list[Path], x: str) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.3 * len(PANELS), 3.8), layout="constrained")
    axes = figure.subplots(1, len(PANELS))
    for axis, (title, *_) in zip(axes, PANELS, strict=True):
        axis.set(title=title, xlabel=UNITS[x])
        axis.grid(alpha=0.3)
    several = len(logs) > 1  # one log has a colour a line, several have one a log
    for number, (log, run) in enumerate(zip(logs, names(logs), strict=True)):
        curves = read_curves(log)
        place = x_axis(curves["train"], x)
        for axis, (_, of_training, of_validation) in zip(axes, PANELS, strict=True):
            for line, kind in enumerate(curves):
                points = curves[kind].get(of_training if kind == "train" else of_validation, {})
                if not points:
                    continue
                updates = sorted(points)
                axis.plot(
                    [place(update) for update in updates],
                    [points[update] for update in updates],
                    color=f"C{number if several else line}",
                    linestyle=LINE_STYLES[line % len(LINE_STYLES)] if several else "-",
                    marker="o" if kind != "train" or len(points) == 1 else None,
                    markersize=4,
                    label=f"{run} {kind}" if several else kind,
                )
    for axis in axes:
        if axis.lines:
            axis.legend(frameon=False)
    return figure


def main() -> None:
    parser = cli.Parser(__doc__)
    parser.add_argument("logs", type=cli.input_file, nargs="+", metavar="LOG")
    parser.add_argument("-o", "--out", type=cli.output_file, default="training.png")
    parser.add_argument("--x", choices=list(UNITS), default="update", help="wall-clock: time")
    args = parser.parse_args()
    check_outputs([args.out], args.logs)
    figure = plot(args.logs, args.x)
    with replacing(args.out, "wb") as file:
        try:
            figure.savefig(file, format=args.out.suffix[1:].lower() or "png", dpi=120)
        except ValueError as error:  # which lists the endings that matplotlib takes
            raise cli.InputError(f"{args.out}: {error}") from None


def command() -> None:
    cli.run(main)


if __name__ == "__main__":
    command()
