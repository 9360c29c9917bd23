"""The table about the ways to a cheaper R-Drop, each tried on 10,000 pairs, by time instead of updates."""

from experiments.evidence import SACREBLEU, Systems
from experiments.markdown_table import table
from experiments.runs import AVERAGES
from experiments.training_time import Result, Seconds, length, timed_curve

MINUTES = (30, 40, 50, 60)
FULL_LENGTH = ("plain-10k", "rdrop-10k")  # of results/multi30k: what the others are compared with


def screening_table(screening: Systems, multi30k: Systems, seconds: Seconds) -> str:
    """BLEU (greedy) and nll on valid, the best so far at equal time; BLEU at beam 5 after the whole run."""
    systems = {name: multi30k[name] for name in FULL_LENGTH if name in multi30k} | screening
    columns = ["system", "minutes", *(f"after {m} minutes: BLEU, nll" for m in MINUTES)]
    columns += ["in the end: BLEU, beam 5: best checkpoint", "last 5 averaged", "last 10 averaged"]
    rows = []
    for name, (result,) in systems.items():
        cells = [name, f"{length(result, seconds) / 60:.0f}"]
        cells += [_reached(result, seconds, 60 * minutes) for minutes in MINUTES]
        valid = result["scores"]["valid"]
        cells += [f"{valid[a][SACREBLEU]['score']:.2f}" if a in valid else "-" for a in AVERAGES]
        rows.append(cells)
    return table(columns, rows)


def _reached(result: Result, seconds: Seconds, time: float) -> str:
    """A dash where the run was not so long."""
    if length(result, seconds) < time:
        return "-"
    points = [point for at, point in timed_curve(result, seconds) if at <= time]
    return f"{max(p['bleu'] for p in points):.2f}, {min(p['nll'] for p in points):.2f}"
