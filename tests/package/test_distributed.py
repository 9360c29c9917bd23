"""Two processes with gloo on the CPU: gradients are those of one process, under every DDP back-end."""

import copy
import itertools
import traceback

import pytest
import torch
import torch.multiprocessing as mp
from conftest import NO_DROPOUT, OFFICIAL, TRANSFORMER, Setup, check_gradients, gradients

pytest.importorskip("fairseq")

TIES = [[], ["--share-all-embeddings"]]
PATHS = {
    "fused": ["--rdrop-loss", "fused"],
    "plain": ["--rdrop-loss", "plain"],
    "fused, separate": ["--rdrop-loss", "fused", "--rdrop-forward", "separate"],
    "plain, separate": ["--rdrop-loss", "plain", "--rdrop-forward", "separate"],
    "fused, cutoff": ["--rdrop-loss", "fused", "--rdrop-cutoff", "0.3"],
    "plain, separate, cutoff": "--rdrop-loss plain --rdrop-forward separate --rdrop-cutoff 0.3".split(),
    "fused, one pass": ["--rdrop-loss", "fused", "--rdrop-passes", "1"],
}
# With find_unused_parameters. (no_c10d is fairseq's other name of legacy_ddp.)
WRAPS = [("legacy_ddp", False), ("pytorch_ddp", False), ("pytorch_ddp", True)]
if OFFICIAL:  # its encoder has parameters that it does not use
    WRAPS.remove(("pytorch_ddp", False))
CASES = list(itertools.product(TIES, PATHS))


def wrap(model, backend, find_unused):
    """Wraps as fairseq does for the back-end, which gives pytorch_ddp device_ids that a CPU refuses."""
    from fairseq.distributed import LegacyDistributedDataParallel, ModuleProxyWrapper

    if backend == "pytorch_ddp":
        ddp = torch.nn.parallel.DistributedDataParallel(model, find_unused_parameters=find_unused)
    else:
        ddp = LegacyDistributedDataParallel(model, process_group=torch.distributed.group.WORLD)
    return ModuleProxyWrapper(ddp)


def make(data, ties, path):
    setup = Setup(data, [*TRANSFORMER, *NO_DROPOUT, *ties], extra=PATHS[path])
    setup.task.load_dataset("train")
    dataset = setup.task.dataset("train")
    return setup, [dataset.collater([dataset[i] for i in part]) for part in (range(4), range(4, 8))]


def two_steps(criterion, model, backend, find_unused, batch):
    wrapped = wrap(model, backend, find_unused)
    for _ in range(2):  # a second step: DDP's state of the first one must be clean
        wrapped.train()
        wrapped.zero_grad()
        torch.manual_seed(7)  # as Setup.train_step: the same cutoff
        loss, _, _ = criterion(wrapped, batch)
        loss.backward()
        if backend != "pytorch_ddp":
            wrapped.all_reduce_grads()
    return gradients(model)


def worker(rank, data, init_file, results):
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"file://{init_file}", rank=rank, world_size=2)
    for ties, path in CASES:
        setup, batches = make(data, ties, path)
        for backend, find_unused in WRAPS:
            try:
                model = copy.deepcopy(setup.model)
                grads = two_steps(setup.criterion, model, backend, find_unused, batches[rank])
            except Exception:
                grads = traceback.format_exc()
            if rank == 0:
                results[str((backend, find_unused, ties, path))] = grads
    torch.distributed.destroy_process_group()


def test_gradients_under_every_back_end(data_bin, tmp_path):
    """Two processes with half a batch each have the mean of the halves' gradients."""
    with mp.get_context("spawn").Manager() as manager:
        results = manager.dict()
        mp.spawn(worker, args=(data_bin, tmp_path / "init", results), nprocs=2)
        results = dict(results)
    assert len(results) == len(CASES) * len(WRAPS)
    for ties, path in CASES:
        setup, batches = make(data_bin, ties, path)
        first, second = (setup.train_step(batch)[3] for batch in batches)
        mean = {name: (grad + second[name]) / 2 for name, grad in first.items()}  # as DDP does
        for backend, find_unused in WRAPS:
            case = str((backend, find_unused, ties, path))
            assert isinstance(results[case], dict), f"{case}: {results[case]}"
            grads = results[case]
            if OFFICIAL:
                assert not any(grads.pop(name).any() for name in grads.keys() - mean.keys())
            check_gradients(grads, mean)
