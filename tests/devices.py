"""The devices that tests run on."""

from __future__ import annotations

import pytest
import torch

from rdrop_fairseq.losses.device import CUDA, DEVICES


def gpu():
    """The device "cuda"; skips the test where there is none."""
    if not torch.cuda.is_available():
        pytest.skip("torch finds no GPU")
    return "cuda"


@pytest.fixture(params=["cpu", "cpu as a gpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request, monkeypatch):
    """Where the tensors of a test of the losses are. "cpu as a gpu" works on a CPU's as on those of a GPU:
    fillers, products in half precision, asserts of the device.
    """
    if request.param == "cpu as a gpu":
        monkeypatch.setitem(DEVICES, "cpu", CUDA)
    return gpu() if request.param == "cuda" else "cpu"


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def model_device(request):
    """Where the model of a test is."""
    return gpu() if request.param == "cuda" else "cpu"
