"""Files that are no checkpoints of fairseq, for the tests of the scripts that read some."""

import io
import os

import torch

NO_CHECKPOINT = "it is damaged, or no checkpoint of fairseq"


class Runs:
    """An object that runs a command when it is unpickled without care."""

    def __reduce__(self):
        return os.system, ("echo this was run",)


def weights(value=1.0, **more):
    return {"model": {"w": torch.tensor([value, 2.0]), **more}}


def checkpoint_bytes(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


CUT = checkpoint_bytes(weights())[:700]
