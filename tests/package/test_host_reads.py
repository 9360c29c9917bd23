"""A training step on an accelerator makes the host wait for no tensor.

A machine without one shows it as well: tensors on "meta" hold no values, and torch raises where one is read.
"""

import traceback

import pytest
import torch
from conftest import TRANSFORMER, Setup, gradients, moved
from devices import gpu
from torch.utils._python_dispatch import TorchDispatchMode

from rdrop_fairseq.losses.device import CUDA, DEVICES

pytest.importorskip("fairseq")
if torch.__version__ < "2.4":
    pytest.skip("this torch does not know that meta has no autocast", allow_module_level=True)

LOGGED = ["--report-accuracy", "--ignore-prefix-size", "1"]
CASES = {
    "default": [],
    "plain loss": ["--rdrop-loss", "plain"],
    "one pass": ["--rdrop-passes", "1"],
    "cutoff": ["--rdrop-cutoff", "0.2", "--rdrop-passes", "3"],
    "separate": ["--rdrop-cutoff", "0.2", "--rdrop-dropout", "0.1,0.3", "--rdrop-ce-reduction", "mean"],
    "warm-up": ["--rdrop-warmup-updates", "4", "--sentence-avg"],
}


class HostsReads(TorchDispatchMode):
    """Answers yes to fairseq's own models, which do read values (is there padding?), and counts them."""

    def __init__(self, device):
        super().__init__()
        self.device, self.count = device, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten._local_scalar_dense.default and args[0].device.type == self.device:
            files = [frame.filename for frame in traceback.extract_stack()]
            reader = [file for file in files if "/torch/" not in file and file != __file__][-1]
            if "/fairseq/models/" in reader or "/fairseq/modules/" in reader:
                self.count += 1
                return True
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("kernel", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_no_value_is_read(data_bin, monkeypatch, case, kernel):
    """Neither forward, loss, backward nor log reads one; the R-Drop authors' criterion has an .item()."""
    monkeypatch.setitem(DEVICES, "meta", CUDA._replace(kernel=kernel))
    setup = Setup(data_bin, TRANSFORMER, extra=[*CASES[case], *LOGGED])
    sample = setup.uneven_batch()
    grads = setup.train_step(sample)[3]
    setup.model.zero_grad()
    sample = moved(sample, "meta")
    setup.model.to("meta").train()
    with HostsReads("meta") as hosts_reads:
        loss, _, log = setup.criterion(setup.model, sample)
        loss.backward()
        with pytest.raises(RuntimeError, match="meta"):
            bool(loss > 0)  # the trap is real
    assert loss.device.type == log["nll_loss"].device.type == log["n_correct"].device.type == "meta"
    assert gradients(setup.model).keys() == grads.keys()
    assert hosts_reads.count > 0


@pytest.mark.cuda
@pytest.mark.parametrize("fp16", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_a_gpu_is_not_waited_for(data_bin, case, fp16):
    """The same step passes with torch on the watch for every synchronisation, copies from the host too."""
    setup = Setup(data_bin, TRANSFORMER, extra=[*CASES[case], *LOGGED], device=gpu())
    if fp16:
        setup.model.half()
    sample = setup.uneven_batch()
    loss, *_ = setup.train_step(sample)  # the first step alone has: memory, handles, choices for the model
    assert loss.isfinite()
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        with HostsReads("cuda") as hosts_reads:
            loss, _, log = setup.criterion(setup.model, sample)
            loss.backward()
            with pytest.raises(RuntimeError, match="synchroniz"):
                bool(loss > 0)  # the trap is real
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert loss.device.type == log["nll_loss"].device.type == log["n_correct"].device.type == "cuda"
    assert hosts_reads.count > 0
