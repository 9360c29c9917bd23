"""R-Drop for fairseq: this folder is the ``--user-dir``; the losses need torch only."""

import sys

from .functional import (
    RDropLoss,
    compute_kl_loss,
    label_smoothed_nll_loss,
    linear_rdrop_loss,
    rdrop_loss,
)

__version__ = "0.1.0"
__all__ = [
    "RDropLoss",
    "compute_kl_loss",
    "label_smoothed_nll_loss",
    "linear_rdrop_loss",
    "rdrop_loss",
]

# fairseq imports its --user-dir, and is then loaded itself. Everybody else is spared its import.
if sys.modules.get("fairseq"):
    from . import checkpoint_safety as checkpoint_safety
    from . import label_smoothed_cross_entropy_rdrop as label_smoothed_cross_entropy_rdrop
