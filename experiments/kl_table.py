"""The table of the KL divergence to expect in a log, from the curves of trainings with R-Drop."""

from experiments.evidence import Systems, size
from experiments.markdown_table import table

# One training for each alpha, size of data and model, and one that was plain at first.
SHOWN = ("rdrop-a1-long", "rdrop-a2", "rdrop-a5", "rdrop-tiny", "rdrop-10k", "start-2208")


def kl_table(multi30k: Systems, screening: Systems) -> str:
    """``rdrop_kl_loss`` of the first epoch with R-Drop, half-way and of the last epoch, in bits per token."""
    systems = multi30k | screening
    rows = []
    for name in SHOWN:
        result = systems[name][0]
        points = [point for point in result["curve"] if "train_kl" in point]
        shown = points[0], points[len(points) // 2], points[-1]
        cells = [f"{point['train_kl']:.2f} ({point['update']:,})" for point in shown]
        rows.append([f"`{name}`", f"{result['alpha']:g}", *size([result]), *cells])
    columns = [
        "training",
        "alpha",
        "pairs",
        "parameters",
        "KL at the start (update)",
        "half-way",
        "at the end",
    ]
    return table(columns, rows)
