"""Reads what fairseq saves, with torch's weights_only=True: no checkpoint can run code."""

import re
from pathlib import Path
from typing import Any

import torch

from rdrop_tools.cli import InputError


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The state, on the CPU; ``model`` in it is a dictionary of tensors."""
    from rdrop_fairseq.repairs import load_checkpoints

    load_checkpoints()  # torch.load accepts what fairseq writes
    with path.open("rb") as file:
        try:
            state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # of torch, pickle or zipfile, for a damaged or foreign file
            # torch says it at length, with its advice to let the file run code
            why = "it is damaged, or no checkpoint of fairseq"
            if refused := re.search(r"GLOBAL (\S+)", str(error)):
                why = f"it holds {refused.group(1)}, which could run code"
            raise InputError(f"cannot read {path}: {why}") from None
    model = state.get("model") if isinstance(state, dict) else None
    tensors = model.values() if isinstance(model, dict) else ()
    if not tensors or not all(isinstance(tensor, torch.Tensor) for tensor in tensors):
        raise InputError(f"{path} is not a checkpoint of fairseq: it has no model")
    return state
