"""What is no checkpoint of fairseq, or a small one, for the tests of the scripts that read some."""

import os

import torch


class Runs:
    """An object that runs a command when it is unpickled without care."""

    def __reduce__(self):
        return os.system, ("echo this was run",)


def weights(value=1.0):
    return {"model": {"w": torch.tensor([value, 2.0])}}
