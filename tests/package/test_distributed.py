"""Two processes with gloo on the CPU: gradients are those of one process, under every DDP back-end."""

import contextlib
import copy
import datetime
import traceback

import pytest
import torch
import torch.multiprocessing as mp
from conftest import MODELS, NO_DROPOUT, OFFICIAL, TRANSFORMER, Setup, check_gradients, gradients
from devices import gpu

pytest.importorskip("fairseq")

from fairseq.distributed import LegacyDistributedDataParallel, ModuleProxyWrapper

STILL = [*TRANSFORMER, *NO_DROPOUT]
LAYER_DROP = "--encoder-layers 4 --encoder-layerdrop 0.5 --decoder-layers 3 --decoder-layerdrop 0.5".split()
MODEL_FLAGS = {
    "untied": STILL,
    "tied": [*STILL, "--share-all-embeddings"],
    "LayerDrop": [*STILL, *LAYER_DROP],
    "rates": [*TRANSFORMER, "--rdrop-dropout", "0.1,0.4"],
    "lstm": MODELS["lstm"][0].split(),
    "lstm_shared": MODELS["lstm_shared"][0].split(),
}
WAYS = {
    "fused": "untied tied LayerDrop rates lstm",
    "plain": "untied tied LayerDrop rates lstm_shared",
    "fused --rdrop-forward separate": "tied",
    "plain --rdrop-forward separate": "untied",
    "fused --rdrop-cutoff 0.3": "tied",
    "plain --rdrop-forward separate --rdrop-cutoff 0.3": "tied",
    "fused --rdrop-passes 1": "tied LayerDrop",
}
CASES = {
    f"{model}, {way}": [*MODEL_FLAGS[model], "--rdrop-loss", *way.split()]
    for way, models in WAYS.items()
    for model in models.split()
}
# With find_unused_parameters. (no_c10d is fairseq's other name of legacy_ddp.)
WRAPS = [("legacy_ddp", False), ("pytorch_ddp", False), ("pytorch_ddp", True)]
if OFFICIAL:  # its encoder has parameters that it does not use
    WRAPS.remove(("pytorch_ddp", False))


SEEDS = (7, 8)  # the processes draw layers, dropout and cutoff of their own


def make(data, flags):
    setup = Setup(data, flags)
    setup.task.load_dataset("train")
    dataset = setup.task.dataset("train")
    return setup, [dataset.collater([dataset[i] for i in part]) for part in (range(4), range(4, 8))]


def two_steps(criterion, model, backend, find_unused, batch, seed, device_ids=None):
    """Wrapped as fairseq does it for the back-end, which always gives pytorch_ddp device_ids."""
    if backend == "pytorch_ddp":
        options = {"device_ids": device_ids, "find_unused_parameters": find_unused}
        ddp = torch.nn.parallel.DistributedDataParallel(model, **options)
    else:
        ddp = LegacyDistributedDataParallel(model, process_group=torch.distributed.group.WORLD)
    wrapped = ModuleProxyWrapper(ddp)
    for _ in range(2):  # a second step: DDP's state of the first one must be clean
        wrapped.train()
        wrapped.zero_grad()
        torch.manual_seed(seed)
        loss, _, _ = criterion(wrapped, batch)
        loss.backward()
        if backend != "pytorch_ddp":
            wrapped.all_reduce_grads()
    return gradients(model)


@contextlib.contextmanager
def group(backend, folder, rank, size):
    torch.distributed.init_process_group(
        backend, f"file://{folder}/init", rank=rank, world_size=size, timeout=datetime.timedelta(minutes=5)
    )
    try:
        yield
    finally:
        torch.distributed.destroy_process_group()


def all_gradients(_, data, folder, rank):
    """{case: gradients, or the traceback of what the process ended in}"""
    results = {}
    with group("gloo", folder, rank, 2):
        for case, flags in CASES.items():
            setup, batches = make(data, flags)
            for wrap in WRAPS:
                model = copy.deepcopy(setup.model)
                try:
                    grads = two_steps(setup.criterion, model, *wrap, batches[rank], SEEDS[rank])
                except Exception:
                    grads = traceback.format_exc()
                results[case, wrap] = grads
    return results


def test_gradients_under_every_back_end(data_bin, tmp_path):
    """Two processes, this one and another, with half a batch each have the mean of the halves' gradients.

    Regression: with --find-unused-parameters, several forwards and LayerDrop a parameter was "ready" twice.
    """
    other = mp.spawn(all_gradients, args=(data_bin, tmp_path, 1), nprocs=1, join=False)
    results = all_gradients(None, data_bin, tmp_path, 0)
    other.join()
    for case, flags in CASES.items():
        setup, batches = make(data_bin, flags)
        first, second = (setup.train_step(batch, seed=seed)[3] for batch, seed in zip(batches, SEEDS))
        zeros = {name: torch.zeros_like(grad) for name, grad in {**first, **second}.items()}
        first, second = {**zeros, **first}, {**zeros, **second}
        mean = {name: (grad + second[name]) / 2 for name, grad in first.items()}  # as DDP does
        for wrap in WRAPS:
            got = results[case, wrap]
            if "LayerDrop" in case and wrap == ("pytorch_ddp", False):
                assert "RDropError: LayerDrop under --ddp-backend pytorch_ddp needs --find-unused" in got
                continue
            assert isinstance(got, dict), f"{case}, {wrap}: {got}"
            if OFFICIAL or "LayerDrop" in case:  # zeros where no process has a gradient
                assert not any(got.pop(name).any() for name in got.keys() - mean.keys())
            check_gradients(got, mean)


@pytest.mark.cuda
@pytest.mark.parametrize("find_unused", [False, True])
def test_one_process_on_a_gpu(data_bin, tmp_path, find_unused):
    if OFFICIAL and not find_unused:
        pytest.skip("its encoder has parameters that it does not use")
    setup = Setup(data_bin, STILL, device=gpu())
    sample = setup.batch()
    expected = setup.train_step(sample)[3]
    with group("nccl", tmp_path, 0, 1):
        got = two_steps(setup.criterion, setup.model, "pytorch_ddp", find_unused, sample, 7, [0])
    check_gradients(got, expected)
