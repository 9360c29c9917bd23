"""Let fairseq's data run on numpy 2, which has taken out names that three of its modules use.

Without it ``--sample-break-mode eos`` of language_modeling and ``--num-batch-buckets`` end in an
AttributeError or a TypeError. The modules get a numpy with these names; numpy itself stays as it is.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from fairseq.data import data_utils, language_pair_dataset, token_block_dataset


class _NumpyWithOldNames:
    compat = SimpleNamespace(long=int)

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    @staticmethod
    def percentile(a: Any, q: Any, interpolation: Any) -> Any:
        return np.percentile(a, q, method=interpolation)


if int(np.__version__.split(".")[0]) >= 2:
    for module in (data_utils, language_pair_dataset, token_block_dataset):
        module.np = _NumpyWithOldNames()
