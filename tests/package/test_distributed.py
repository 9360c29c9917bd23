"""Two processes with gloo on the CPU: gradients are those of one process, under every DDP back-end."""

import copy
import traceback

import pytest
import torch
import torch.multiprocessing as mp
from conftest import MODELS, NO_DROPOUT, OFFICIAL, TRANSFORMER, Setup, check_gradients, gradients

pytest.importorskip("fairseq")

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
    "fused --rdrop-passes 1": "untied tied LayerDrop",
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


def wrap(model, backend, find_unused):
    """Wraps as fairseq does for the back-end, which gives pytorch_ddp device_ids that a CPU refuses."""
    from fairseq.distributed import LegacyDistributedDataParallel, ModuleProxyWrapper

    if backend == "pytorch_ddp":
        ddp = torch.nn.parallel.DistributedDataParallel(model, find_unused_parameters=find_unused)
    else:
        ddp = LegacyDistributedDataParallel(model, process_group=torch.distributed.group.WORLD)
    return ModuleProxyWrapper(ddp)


def make(data, flags):
    setup = Setup(data, flags)
    setup.task.load_dataset("train")
    dataset = setup.task.dataset("train")
    return setup, [dataset.collater([dataset[i] for i in part]) for part in (range(4), range(4, 8))]


def two_steps(criterion, model, backend, find_unused, batch, seed):
    wrapped = wrap(model, backend, find_unused)
    for _ in range(2):  # a second step: DDP's state of the first one must be clean
        wrapped.train()
        wrapped.zero_grad()
        torch.manual_seed(seed)
        loss, _, _ = criterion(wrapped, batch)
        loss.backward()
        if backend != "pytorch_ddp":
            wrapped.all_reduce_grads()
    return gradients(model)


def worker(rank, data, init_file, results):
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"file://{init_file}", rank=rank, world_size=2)
    for case, flags in CASES.items():
        setup, batches = make(data, flags)
        for backend, find_unused in WRAPS:
            try:
                model = copy.deepcopy(setup.model)
                grads = two_steps(setup.criterion, model, backend, find_unused, batches[rank], SEEDS[rank])
            except Exception:
                grads = traceback.format_exc()
            if rank == 0:
                results[f"{case}, {backend}, {find_unused}"] = grads
    torch.distributed.destroy_process_group()


SEEDS = (7, 8)  # the processes draw layers, dropout and cutoff of their own


def test_gradients_under_every_back_end(data_bin, tmp_path):
    """Two processes with half a batch each have the mean of the halves' gradients.

    Regression: with --find-unused-parameters, several forwards and LayerDrop a parameter was "ready" twice.
    """
    with mp.get_context("spawn").Manager() as manager:
        results = manager.dict()
        mp.spawn(worker, args=(data_bin, tmp_path / "init", results), nprocs=2)
        results = dict(results)
    assert len(results) == len(CASES) * len(WRAPS)
    for case, flags in CASES.items():
        setup, batches = make(data_bin, flags)
        first, second = (setup.train_step(batch, seed=seed)[3] for batch, seed in zip(batches, SEEDS))
        zeros = {name: torch.zeros_like(grad) for name, grad in {**first, **second}.items()}
        first, second = {**zeros, **first}, {**zeros, **second}
        mean = {name: (grad + second[name]) / 2 for name, grad in first.items()}  # as DDP does
        for backend, find_unused in WRAPS:
            got = results[f"{case}, {backend}, {find_unused}"]
            if "LayerDrop" in case and backend == "pytorch_ddp" and not find_unused:
                assert "RDropError: LayerDrop under --ddp-backend pytorch_ddp needs --find-unused" in got
                continue
            assert isinstance(got, dict), f"{case}, {backend}, {find_unused}: {got}"
            if OFFICIAL or "LayerDrop" in case:  # zeros where no process has a gradient
                assert not any(got.pop(name).any() for name in got.keys() - mean.keys())
            check_gradients(got, mean)
