"""Pictures by matplotlib: their files, checked before the work and written whole."""

from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt

from rdrop_tools.cli import InputError, output_file
from rdrop_tools.lines import replacing

FORMATS = ("png", "pdf", "svg", "jpg")  # what matplotlib writes without another program


def picture_file(name: str | Path) -> Path:
    """A type for argparse: a picture that can be written, in the format of its name; PNG without one."""
    path = output_file(name)
    if path.suffix and path.suffix[1:].lower() not in FORMATS:
        raise InputError(f"{name} must end in .{', .'.join(FORMATS)}")
    return path


def panels(count: int, width: float) -> tuple[Any, Any]:
    """A figure, and its axes side by side."""
    return plt.subplots(1, count, figsize=(count * width, 3.8), layout="constrained")  # type: ignore[no-any-return]


def save(figure: Any, path: Path) -> None:
    with replacing(path, "wb") as file:
        figure.savefig(file, format=path.suffix[1:].lower() or "png", dpi=120)
    plt.close(figure)
