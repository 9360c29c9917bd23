"""A training step on an accelerator makes the host wait for no tensor. Shown without one: tensors on the
device "meta" hold no values, and torch raises where the host reads one.
"""

import traceback

import pytest
import torch
from conftest import TRANSFORMER, Setup
from torch.utils._python_dispatch import TorchDispatchMode

pytest.importorskip("fairseq")
if torch.__version__ < "2.1":
    pytest.skip("this torch has no _assert_async for meta", allow_module_level=True)

from rdrop_fairseq import objective
from rdrop_fairseq.fused import LinearRDrop

CASES = {
    "default": [],
    "plain loss": ["--rdrop-loss", "plain"],
    "one pass": ["--rdrop-passes", "1"],
    "cutoff": ["--rdrop-cutoff", "0.2", "--rdrop-passes", "3"],
    "separate": ["--rdrop-cutoff", "0.2", "--rdrop-dropout", "0.1,0.3", "--rdrop-ce-reduction", "mean"],
    "warm-up": ["--rdrop-warmup-updates", "4", "--sentence-avg"],
}


class HostsReads(TorchDispatchMode):
    """fairseq's own models do read values (is there padding?): they are told yes, and counted."""

    count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten._local_scalar_dense.default and args[0].device.type == "meta":
            files = [frame.filename for frame in traceback.extract_stack()]
            reader = [file for file in files if "/torch/" not in file and file != __file__][-1]
            if "/fairseq/models/" in reader or "/fairseq/modules/" in reader:
                self.count += 1
                return True
        return func(*args, **(kwargs or {}))


def on_meta(value):
    if isinstance(value, dict):
        return {key: on_meta(item) for key, item in value.items()}
    return value.to("meta") if isinstance(value, torch.Tensor) else value


def sums_without_autocast(hidden, weight, bias, target, options):
    """linear_rdrop_sums on "meta", a device that torch.autocast does not know."""
    return LinearRDrop.apply(hidden.unflatten(0, (options.passes, -1)), weight, bias, target, options)


@pytest.mark.parametrize("case", CASES)
def test_no_value_is_read(data_bin, case, monkeypatch):
    """Forward, loss, backward and log; fairseq's own R-Drop criterion has an .item() in every step."""
    monkeypatch.setattr(objective, "linear_rdrop_sums", sums_without_autocast)
    extra = [*CASES[case], "--report-accuracy", "--ignore-prefix-size", "1"]
    setup = Setup(data_bin, TRANSFORMER, extra=extra)
    sample = setup.uneven_batch()
    grads = setup.train_step(sample)[3]
    setup.model.zero_grad()
    sample = on_meta(sample)
    setup.model.to("meta").train()
    with HostsReads() as hosts_reads:
        loss, _, log = setup.criterion(setup.model, sample)
        loss.backward()
        with pytest.raises(RuntimeError, match="meta"):
            bool(loss > 0)  # the trap is real
    assert loss.device.type == log["nll_loss"].device.type == log["n_correct"].device.type == "meta"
    assert {name for name, p in setup.model.named_parameters() if p.grad is not None} == grads.keys()
    assert hosts_reads.count > 0
