"""Average the parameters of the last or the best N checkpoints of a fairseq-train run.

The result has no optimiser's state: it is for decoding. What is no floating-point number, such as a version,
is that of the last or the best.
"""

import io
import re
from pathlib import Path
from typing import Any

import torch

from rdrop_tools import cli
from rdrop_tools.checkpoints import load_checkpoint
from rdrop_tools.cli import InputError
from rdrop_tools.lines import check_outputs, replacing

# The names that fairseq gives and looks for. BEST has one more, random digit that keeps equals apart; it
# leaves out a figure that is NaN or infinite (nan0).
EPOCH = re.compile(r"checkpoint(\d+)\.pt")
UPDATE = re.compile(r"checkpoint_\d+_(\d+)\.pt")
BEST = re.compile(r"checkpoint\.best_(.+)_(-?\d+\.?\d*(?:e[-+]?\d+)?)\.pt")
FAIRSEQS = re.compile(r"checkpoint(\d+|_\d+_\d+|\.best_.+|_best|_last)\.pt")


def choose(folder: Path, which: str, count: int, metric: str | None = None) -> list[Path]:
    """The ``count`` checkpoints to average, the one that matters most first.

    One is checkpoint_last.pt or checkpoint_best.pt. Several are, for ``last``, of the ends of epochs, or of
    updates where there are not enough of epochs; for ``best``, those of --keep-best-checkpoints by the
    figure of ``metric`` in their names, by default the only one there is.
    """
    files = sorted(folder.iterdir())
    only = folder / f"checkpoint_{which}.pt"
    if count == 1 and metric is None and only.is_file():
        return [only]
    if which == "best":
        found = _best(files, metric)
    else:
        matches = [{p: m for p in files if (m := names.fullmatch(p.name))} for names in (EPOCH, UPDATE)]
        matched = matches[0] if len(matches[0]) >= count else matches[1]
        found = sorted(matched, key=lambda path: int(matched[path].group(1)), reverse=True)
    if len(found) < count:
        raise InputError(
            f"{folder} has fewer than {count} checkpoints to average: ask for fewer than {which}:{count}"
        )
    return found[:count]


def _best(files: list[Path], metric: str | None) -> list[Path]:
    """Those that are best by a metric, the best first."""
    figures: dict[str, dict[Path, float]] = {}
    for path in files:
        if match := BEST.fullmatch(path.name):
            figures.setdefault(match.group(1), {})[path] = float(match.group(2))
    if metric not in figures and (metric is not None or len(figures) > 1):
        names = " and by ".join(figures) or "no metric"
        raise InputError(f"the best checkpoints are by {names}: choose one with --metric")
    if not figures:
        return []
    metric = metric or next(iter(figures))
    paths = figures[metric]
    return sorted(paths, key=lambda path: paths[path], reverse=higher_is_better(next(iter(paths)), metric))


def higher_is_better(path: Path, metric: str) -> bool:
    """Whether the run that wrote the checkpoint had --maximize-best-checkpoint-metric."""
    settings = (load_checkpoint(path).get("cfg") or {}).get("checkpoint", {})
    by = settings.get("best_checkpoint_metric")
    if by != metric:
        raise InputError(f"{path} was not saved as the best by {metric}, but by {by}")
    return bool(settings.get("maximize_best_checkpoint_metric"))


def average(paths: list[Path]) -> dict[str, Any]:
    """The first checkpoint with the mean of all parameters, without the optimiser's state."""
    result = load_checkpoint(paths[0])
    result.pop("last_optimizer_state", None)
    first: dict[str, torch.Tensor] = result["model"]
    # Tied parameters are one tensor under several names. A new tensor per name keeps each from being added to
    # twice.
    sums = {name: t.to(torch.promote_types(t.dtype, torch.float64), copy=True) for name, t in first.items()}
    for path in paths[1:]:
        model: dict[str, torch.Tensor] = load_checkpoint(path)["model"]
        kinds = [{name: (t.dtype, t.shape) for name, t in state.items()} for state in (first, model)]
        if kinds[0] != kinds[1]:
            raise InputError(f"{path} has other parameters than {paths[0]}")
        for name, tensor in model.items():
            sums[name] += tensor
    owners: dict[tuple[int, torch.Size], str] = {}
    for name, tensor in first.items():
        if sums[name].isnan().any():
            raise InputError(f"{name} has NaN in one of {', '.join(path.name for path in paths)}")
        owner = owners.setdefault((tensor.data_ptr(), tensor.shape), name)
        if owner != name and torch.equal(sums[owner], sums[name]):
            first[name] = first[owner]
        elif tensor.is_floating_point() or tensor.is_complex():  # the others are version numbers and the like
            first[name] = (sums[name] / len(paths)).to(tensor.dtype)
    return result


def save(state: dict[str, Any], out: Path) -> None:
    content = io.BytesIO()  # torch would hide a full disk in an error of its own
    torch.save(state, content)
    with replacing(out, "wb") as file:
        file.write(content.getbuffer())


def main() -> None:
    parser = cli.Parser(__doc__)
    parser.add_argument("folder", type=cli.input_folder, help="of the checkpoints")
    parser.add_argument("out", type=cli.output_file)
    parser.add_argument("--which", choices=["last", "best"], default="last")
    parser.add_argument("--count", type=cli.integer(1), default=10)
    parser.add_argument("--metric", help="with best: the one in the files' names, where there are several")
    args = parser.parse_args()
    if args.metric is not None and args.which != "best":
        parser.error("--metric goes with --which best")
    if any(FAIRSEQS.fullmatch(path.name) for path in (args.out, args.out.resolve())):
        parser.error(
            f"{args.out} is a name of fairseq's own checkpoints: choose another, such as averaged.pt"
        )
    paths = choose(args.folder, args.which, args.count, args.metric)
    check_outputs([args.out], paths)
    save(average(paths), args.out)
    print("averaged:", *(path.name for path in paths))


def command() -> None:
    cli.run(main)


if __name__ == "__main__":
    command()
