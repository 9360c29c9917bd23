"""The kernel: when it is taken, that whole LinearRDrop has the numbers of torch with it, and how it compiles.

Its numbers on drawn problems are in test_loss_properties.py, by the device "cpu by the kernel".
"""

from __future__ import annotations

import json
import sys

import pytest
import torch
from conftest import NO_DROPOUT, ROOT, TRANSFORMER, Setup, run
from devices import gpu, interpreter

from rdrop_fairseq import linear_rdrop_loss
from rdrop_fairseq.losses import device as devices
from rdrop_fairseq.losses import elementwise
from rdrop_fairseq.losses.terms import Weights

pytest.importorskip("triton", minversion="3.6")
PAD = 1
TARGETS = [
    *(("cuda", arch) for arch in (70, 75, 80, 86, 89, 90, 100, 120)),
    ("hip", "gfx90a"),
    ("hip", "gfx942"),
]
# Passes, classes, dtype, bias. The first three need most registers, and are compiled for every GPU.
SHAPES = [
    (8, 1000, "fp16", False),
    (8, 32768, "fp32", True),
    (2, 32771, "fp16", True),
    (1, 10152, "bf16", False),
    (2, 32768, "bf16", False),
    (3, 32768, "fp16", False),
    (4, 10152, "bf16", True),
]
COMPILE = """
import json, os, re, subprocess, sys, tempfile
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from rdrop_fairseq.losses import kernel

for backend, arch, (passes, classes, dtype, bias) in json.loads(sys.argv[1]):
    target = GPUTarget(backend, arch, 32 if backend == "cuda" else 64)
    constants = kernel.sizes(passes, classes)
    options = {"num_warps": constants.pop("num_warps")}
    constants |= {"HAS_BIAS": bias, "SCALED": dtype == "fp16"}
    types = ["*" + dtype, "*fp32" if bias else "*" + dtype, "*i64", "*fp32", "*fp32", *["fp32"] * 4]
    names = kernel._kernel.arg_names
    signature = dict(zip(names, types)) | {name: "constexpr" for name in constants}
    source = ASTSource(
        kernel._kernel, signature,
        constexprs={(names.index(name),): value for name, value in constants.items()},
        attrs={(i,): [["tt.divisibility", 16]] for i in range(5)},
    )
    asm = triton.compile(source, target=target, options=options).asm
    if backend == "cuda":
        with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
            file.write(asm["cubin"])
            file.flush()
            dump = os.path.join(os.path.dirname(triton.__file__), "backends/nvidia/bin/cuobjdump")
            text = subprocess.check_output([dump, "--dump-resource-usage", file.name], text=True)
        memory = re.search(r"STACK:(\\d+)", text)[1]
    else:
        memory = re.search(r"private_segment_fixed_size: *(\\d+)", asm["amdgcn"])[1]
    print(arch, passes, classes, dtype, memory)
"""


@pytest.fixture
def by_kernel(monkeypatch):
    """A CPU's tensors are worked on as a GPU's, by the interpreter. No trial has been made."""
    interpreter()
    monkeypatch.setitem(devices.DEVICES, "cpu", devices.CUDA)
    monkeypatch.setattr(elementwise, "_served", {})
    from rdrop_fairseq.losses import kernel

    return kernel


@pytest.fixture
def launches(by_kernel, monkeypatch):
    """What the kernel was called with beside the trials: the number of positions of each call."""
    calls = []
    original = by_kernel.losses_and_grad_

    def record(logits, *rest):
        calls.append(len(logits))
        return original(logits, *rest)

    monkeypatch.setattr(by_kernel, "losses_and_grad_", record)
    return calls


def make(passes=2, classes=37, dtype=torch.float32, device="cpu"):
    torch.manual_seed(20)
    hidden, weight = torch.randn(passes * 20, 16), torch.randn(classes, 16) / 4
    target = torch.randint(2, classes, (20,))
    target[torch.rand(20) < 0.3] = PAD
    return [x.to(device, dtype).requires_grad_() for x in (hidden, weight)], target.to(device)


def losses(inputs, target, **options):
    options = {"alpha": 5.0, "label_smoothing": 0.1, "ignore_index": PAD, **options}
    result = linear_rdrop_loss(*inputs, target, **options)
    return (*result, *torch.autograd.grad(3 * result.loss, inputs))


def by_torch(monkeypatch, inputs, target, **options):
    with monkeypatch.context() as patch:
        patch.setitem(devices.DEVICES, "cpu", devices.CUDA._replace(kernel=False))
        return losses(inputs, target, **options)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("passes", [1, 2, 3, 8])
def test_the_whole_loss_has_the_numbers_of_torch(launches, monkeypatch, recwarn, passes, dtype):
    """In chunks, with fillers, one trial for all of them."""
    inputs, target = make(passes, dtype=dtype)
    expected = by_torch(monkeypatch, inputs, target, passes=passes, chunk_size=7)
    got = losses(inputs, target, passes=passes, chunk_size=7)
    eps = torch.finfo(dtype).eps
    torch.testing.assert_close(
        got, expected, rtol=4 * eps, atol=1e-4 + 2 * eps * float(expected[3].abs().max())
    )
    assert launches == [7, 7, 7, 6]  # the trial's, and the chunks'
    assert not recwarn.list


@pytest.mark.parametrize("alpha", [0.0, 5.0, 1e6])
@pytest.mark.parametrize("passes", [1, 2, 3])
def test_fp16_gradients_are_near_the_top_of_the_range(by_kernel, passes, alpha):
    """The largest of a position is below 2^14, by a factor of 64 at most; not counted: the least."""
    torch.manual_seed(0)
    logits = 3 * torch.randn(6, passes, 50)
    logits[:, :, 7] += torch.tensor([0.0, 5, 10, 0, 0, 0]).unsqueeze(1)
    target = torch.tensor([1, 2, 3, 4, 5, -1])
    weights = Weights(s=1.0, a=alpha / max(passes - 1, 1) * (passes > 1), on_target=0.9, eps_i=0.1 / 49)
    grad = logits.half()
    _, unscale = by_kernel.losses_and_grad_(grad, None, target, weights)
    largest = grad.abs().amax((1, 2)).float()
    assert largest.max() < 2**14
    assert largest[:5].min() >= 2**8
    assert unscale.log2().frac().eq(0).all()
    assert largest[5] == 0
    assert unscale[5] == unscale.min()


@pytest.mark.parametrize(
    ("passes", "dtype", "triton"),
    [(9, torch.float32, True), (2, torch.float64, True), (2, torch.float32, False)],
)
def test_what_the_kernel_does_not_know_is_torch_s(launches, monkeypatch, recwarn, passes, dtype, triton):
    """More passes than it has room for, float64, and all where there is no Triton, without a word."""
    if not triton:
        monkeypatch.setattr(elementwise.importlib.util, "find_spec", lambda name: None)
    inputs, target = make(passes, dtype=dtype)
    assert losses(inputs, target, passes=passes)[0].isfinite()
    assert launches == []
    assert not recwarn.list


def fails(*_):
    raise RuntimeError("no compiler\nfor this")


def errs(kernel):
    def wrong(logits, *rest, original=kernel.losses_and_grad_):
        result = original(logits, *rest)
        logits[..., 0] += 0.01
        return result

    return wrong


@pytest.mark.parametrize("how", ["fails", "errs"])
def test_where_it_fails_torch_goes_on_with_one_warning(by_kernel, monkeypatch, recwarn, how):
    """It does not compile, or has other numbers: that turns it off for this shape, and for no other.

    Regression: one failed compilation turned it off for all devices and shapes of the process.
    """
    working = by_kernel.losses_and_grad_
    monkeypatch.setattr(by_kernel, "losses_and_grad_", fails if how == "fails" else errs(by_kernel))
    inputs, target = make()
    expected = by_torch(monkeypatch, inputs, target)
    for _ in range(2):
        torch.testing.assert_close(losses(inputs, target), expected, rtol=0, atol=0)
    (warning,) = recwarn.list
    start = (
        "the kernel of the fused loss fails for 2 x 37 logits of torch.float32 on cpu, torch does its work: "
    )
    assert str(warning.message).startswith(start)
    assert "\n" not in str(warning.message)
    monkeypatch.setattr(by_kernel, "losses_and_grad_", working)
    losses(*make(classes=38))
    assert list(elementwise._served.values()) == [False, True]


def test_an_overflow_in_the_first_batch_does_not_turn_it_off(launches, recwarn):
    """NaN and infinity are no difference between the kernel and torch."""
    (hidden, weight), target = make(dtype=torch.float16)
    with torch.no_grad():
        hidden[3] = torch.inf
        hidden[5] = torch.nan
    losses((hidden, weight), target)
    assert list(elementwise._served.values()) == [True]
    assert not [warning for warning in recwarn if "kernel" in str(warning.message)]  # but numpy's


@pytest.mark.parametrize(("there", "text"), [(True, "fused loss, kernel ("), (False, "fused loss (")])
def test_the_log_says_whether_there_is_a_kernel(data_bin, monkeypatch, caplog, there, text):
    pytest.importorskip("fairseq")
    monkeypatch.setitem(devices.DEVICES, "cpu", devices.CPU._replace(kernel=there))
    setup = Setup(data_bin, [*TRANSFORMER, *NO_DROPOUT])
    with caplog.at_level("INFO"):
        setup.train_step(setup.batch())
    assert sum(f", {text}" in record.getMessage() for record in caplog.records) == 1


@pytest.mark.cuda
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_gpu_takes_it(monkeypatch, recwarn, dtype):
    monkeypatch.setattr(elementwise, "_served", {})
    losses(*make(classes=10152, dtype=dtype, device=gpu()))
    assert list(elementwise._served.values()) == [True]
    assert not recwarn.list


@pytest.mark.slow
def test_it_compiles_without_spills(tmp_path):
    """For the GPUs of ten years, ahead of time, a thread needs no memory of its own."""
    in_full = ("cuda", 80), ("hip", "gfx942")
    cases = [(*gpu, shape) for gpu in TARGETS for shape in (SHAPES if gpu in in_full else SHAPES[:3])]
    environment = {"TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    lines = run(sys.executable, "-c", COMPILE, json.dumps(cases), **environment).stdout.splitlines()
    assert len(lines) == len(cases)
    assert [line for line in lines if not line.endswith(" 0")] == []
