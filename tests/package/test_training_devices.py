"""fairseq-train on every device there is, in this process: precisions, resume, BLEU, models, and DDP."""

import math

import pytest
import torch
from conftest import MODELS, NO_DROPOUT, OFFICIAL, TRANSFORMER, Setup, check_gradients, gradients
from devices import gpu
from training import EVAL_BLEU, hydra_train, records, train

pytest.importorskip("fairseq")

TRAININGS = {
    "eval-bleu, update-freq": [*EVAL_BLEU, *"--update-freq 2 --max-tokens 100".split()],
    "recomputed, cutoff": "--checkpoint-activations --rdrop-passes 3 --rdrop-cutoff 0.1".split(),
    "plain loss": ["--rdrop-loss", "plain"],
    "lstm": "--dropout 0.5 --rdrop-cutoff 0.5 --max-update 20".split(),  # its passes differ late
}


def check(found, updates):
    """Every update is there with a finite loss, and in the last one with R-Drop the passes differ."""
    assert [int(record["num_updates"]) for record in found] == [*range(1, updates + 1)]
    for record in found:
        assert math.isfinite(float(record["loss"]))
    assert [float(kl) for record in found if (kl := record["rdrop_kl_loss"])][-1] > 0


@pytest.mark.parametrize("name", TRAININGS)
def test_training(data_bin, tmp_path, model_device, name):
    """Training runs with each of fairseq's features."""
    model = MODELS["lstm"][0].split() if name == "lstm" else TRANSFORMER
    flags = ["--max-update", "3", *TRAININGS[name]]
    log = train(data_bin, tmp_path, *flags, model=model, device=model_device)
    check(records(log, "train_inner"), 20 if name == "lstm" else 3)


@pytest.mark.cuda
@pytest.mark.parametrize("precision", ["--fp16", "--memory-efficient-fp16", "--amp"])
def test_half_precision(data_bin, tmp_path, precision):
    """The loss of the first update is that of fp32 to the digits of fp16; later ones are finite."""
    flags = [*NO_DROPOUT, *"--max-update 4 --disable-validation --no-save --rdrop-cutoff 0.1".split()]
    flags += ["--fp16-init-scale", "4"]  # no overflow
    half, full = (
        records(train(data_bin, tmp_path, *flags, *more, device=gpu()), "train_inner")
        for more in ([precision], [])
    )
    check(half, 4)
    assert float(half[0]["loss"]) == pytest.approx(float(full[0]["loss"]), rel=2e-2)


@pytest.mark.cuda
def test_a_resumed_training_goes_on(data_bin, tmp_path):
    """On a GPU sums are not in a fixed order; test_cli.py has the CPU's."""
    whole, *parts = (
        records(train(data_bin, tmp_path, "--max-update", *flags, device=gpu()), "train_inner")
        for flags in (["4", "--no-save"], ["2"], ["4"])
    )
    parts = [*parts[0], *parts[1]]
    assert [record["num_updates"] for record in parts] == ["1", "2", "3", "4"]
    assert len(whole) == 4
    for part, expected in zip(parts, whole):
        assert float(part["loss"]) == pytest.approx(float(expected["loss"]), rel=1e-3)


@pytest.mark.cuda
def test_bf16_by_hydra(data_bin, tmp_path):
    gpu()
    check(records(hydra_train(data_bin, tmp_path).stdout, "train_inner"), 2)


@pytest.mark.parametrize("find_unused", [False, True])
def test_ddp_with_one_process(data_bin, tmp_path, model_device, find_unused):
    """The gradients under torch's DDP, as fairseq wraps a model in pytorch_ddp, are those without it.

    fairseq gives it a device, which a CPU refuses.
    """
    from fairseq.distributed import ModuleProxyWrapper
    from fairseq.models.distributed_fairseq_model import DistributedFairseqModel

    if OFFICIAL and not find_unused:
        pytest.skip("its encoder has parameters that it does not use")
    setup = Setup(data_bin, [*TRANSFORMER, *NO_DROPOUT], device=model_device)
    sample = setup.batch()
    expected = setup.train_step(sample)
    backend = "gloo" if model_device == "cpu" else "nccl"
    torch.distributed.init_process_group(
        backend, init_method=f"file://{tmp_path}/store", rank=0, world_size=1
    )
    try:
        if model_device == "cpu":
            group, cpu = torch.distributed.group.WORLD, torch.device("cpu")
            with pytest.raises(ValueError, match="device_ids"):
                DistributedFairseqModel(setup.args, setup.model, group, cpu)
        devices = None if model_device == "cpu" else [torch.cuda.current_device()]
        ddp = torch.nn.parallel.DistributedDataParallel(
            setup.model, device_ids=devices, find_unused_parameters=find_unused
        )
        wrapped = ModuleProxyWrapper(ddp)
        for _ in range(2):
            wrapped.zero_grad()
            loss, _, _ = setup.criterion(wrapped, sample)
            loss.backward()
        grads = gradients(setup.model)
    finally:
        torch.distributed.destroy_process_group()
    torch.testing.assert_close(loss.detach(), expected[0])
    check_gradients(grads, expected[3])
