"""R-Drop for fairseq: this folder is the ``--user-dir``; the losses need torch only."""

import sys

from .losses.functional import (
    compute_kl_loss,
    label_smoothed_nll_loss,
    linear_rdrop_loss,
    rdrop_loss,
)
from .losses.terms import RDropLoss
from .registration import UserDir, register

__version__ = "0.1.0"
__all__ = [
    "RDropLoss",
    "compute_kl_loss",
    "label_smoothed_nll_loss",
    "linear_rdrop_loss",
    "rdrop_loss",
    "register",
]

__path__ = UserDir(__path__)
if sys.modules.get("fairseq"):
    register()
