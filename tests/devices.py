"""The devices that tests run on."""

from __future__ import annotations

import os
import warnings

import pytest
import torch

from rdrop_fairseq.losses.device import CUDA, DEVICES

IS_OLDEST = torch.__version__.startswith("2.0.")


def gpu():
    """The device "cuda"; skips the test where there is none."""
    if not torch.cuda.is_available():
        pytest.skip("torch finds no GPU")
    return "cuda"


def interpreter():
    """Skips the test where no kernel can run on the tensors of a CPU."""
    pytest.importorskip("triton", minversion="3.6")  # the interpreter of 3.0 does not take the kernel
    if os.environ.get("TRITON_INTERPRET") != "1":
        pytest.skip("a GPU is there, and with it no interpreter")


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call():
    """Skips what needs fp16 on a CPU, which torch 2.0 has not."""
    try:
        return (yield)
    except RuntimeError as error:
        if IS_OLDEST and "not implemented for 'Half'" in str(error):
            pytest.skip(str(error))
        raise


@pytest.fixture(
    params=["cpu", "cpu as a gpu", "cpu by the kernel", pytest.param("cuda", marks=pytest.mark.cuda)]
)
def device(request, monkeypatch):
    """Where the tensors of a test of the losses are. "cpu as a gpu" works on a CPU's as on those of a GPU
    without the kernel: fillers, products in half precision, asserts of the device. "cpu by the kernel" has it
    too, by Triton's interpreter, and no other way.
    """
    if request.param == "cpu as a gpu":
        monkeypatch.setitem(DEVICES, "cpu", CUDA._replace(kernel=False))
    elif request.param == "cpu by the kernel":
        interpreter()
        monkeypatch.setitem(DEVICES, "cpu", CUDA)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="the kernel of the fused loss fails")
        yield gpu() if request.param == "cuda" else "cpu"


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def model_device(request):
    """Where the model of a test is."""
    return gpu() if request.param == "cuda" else "cpu"
