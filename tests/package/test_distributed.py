"""Two processes with gloo on the CPU: gradients are those of one process, under every DDP back-end."""

import copy
import itertools
import traceback

import pytest
import torch
import torch.multiprocessing as mp
from conftest import NO_DROPOUT, TRANSFORMER, Setup

pytest.importorskip("fairseq")

BACKENDS = ["legacy_ddp", "no_c10d", "pytorch_ddp"]
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
WRAPS = list(itertools.product(BACKENDS, [False, True]))  # with find_unused_parameters
CASES = list(itertools.product(TIES, PATHS))


def wrap(model, backend, find_unused):
    """What fairseq does for the back-end. It gives pytorch_ddp device_ids, which a CPU refuses."""
    from fairseq.distributed import LegacyDistributedDataParallel, ModuleProxyWrapper

    if backend == "pytorch_ddp":
        ddp = torch.nn.parallel.DistributedDataParallel(model, find_unused_parameters=find_unused)
    else:  # no_c10d is fairseq's other name of legacy_ddp
        ddp = LegacyDistributedDataParallel(model, process_group=torch.distributed.group.WORLD)
    return ModuleProxyWrapper(ddp)


def make(data, ties, path):
    setup = Setup(data, [*TRANSFORMER, *NO_DROPOUT, *ties], extra=PATHS[path])
    setup.task.load_dataset("train")
    dataset = setup.task.dataset("train")
    return setup, [dataset.collater([dataset[i] for i in part]) for part in (range(4), range(4, 8))]


def gradients(criterion, model, backend, find_unused, batch):
    wrapped = wrap(model, backend, find_unused)
    for _ in range(2):  # a second step: DDP's state of the first one must be clean
        wrapped.train()
        wrapped.zero_grad()
        torch.manual_seed(7)  # as Setup.train_step: the same cutoff
        loss, _, _ = criterion(wrapped, batch)
        loss.backward()
        if backend != "pytorch_ddp":
            wrapped.all_reduce_grads()
    return {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


def worker(rank, data, init_file, results):
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", f"file://{init_file}", rank=rank, world_size=2)
    for ties, path in CASES:
        setup, batches = make(data, ties, path)
        for backend, find_unused in WRAPS:
            try:
                grads = gradients(
                    setup.criterion, copy.deepcopy(setup.model), backend, find_unused, batches[rank]
                )
            except Exception:
                grads = traceback.format_exc()
            if rank == 0:
                results[str((backend, find_unused, ties, path))] = grads
    torch.distributed.destroy_process_group()


def test_gradients_under_every_back_end(data_bin, tmp_path):
    with mp.get_context("spawn").Manager() as manager:
        results = manager.dict()
        mp.spawn(worker, args=(data_bin, tmp_path / "init", results), nprocs=2)
        results = dict(results)
    assert len(results) == len(CASES) * len(WRAPS)
    for ties, path in CASES:
        setup, batches = make(data_bin, ties, path)
        halves = [setup.train_step(batch)[3] for batch in batches]
        for backend, find_unused in WRAPS:
            case = str((backend, find_unused, ties, path))
            assert isinstance(results[case], dict), f"{case}: {results[case]}"
            assert results[case].keys() == halves[0].keys()
            for name, grad in results[case].items():
                expected = (halves[0][name] + halves[1][name]) / 2  # DDP averages
                torch.testing.assert_close(grad, expected, rtol=1e-4, atol=1e-4, msg=f"{case} {name}")
