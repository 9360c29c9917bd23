"""fairseq-train on every device there is, in this process: precisions, resume, BLEU, models, and DDP."""

import json
import logging
import math
import sys

import pytest
import torch
from conftest import (
    MODELS,
    NO_DROPOUT,
    OFFICIAL,
    TRANSFORMER,
    USER_DIR,
    Setup,
    check_gradients,
    gradients,
    run,
)
from devices import gpu
from test_cli import EVAL_BLEU, HYDRA_CONFIG, RECIPE, records

pytest.importorskip("fairseq")

OPTIONS = RECIPE[len(TRANSFORMER) :]
PRECISIONS = {
    "fp16": ["--fp16"],
    "memory-efficient fp16": ["--memory-efficient-fp16"],
    "amp": ["--amp"],
}
TRAININGS = {
    "fp32": [],
    "eval-bleu": EVAL_BLEU,
    "recomputed activations": ["--checkpoint-activations"],
    "update-freq": ["--update-freq", "2", "--max-tokens", "100"],
    "3 passes with cutoff": ["--rdrop-passes", "3", "--rdrop-cutoff", "0.1", "--rdrop-warmup-updates", "2"],
    "plain loss": ["--rdrop-loss", "plain"],
}


@pytest.fixture
def train(data_bin, tmp_path, monkeypatch, caplog):
    """A call of fairseq-train, which ends without an error, and returns the records of its updates."""
    from fairseq_cli.train import cli_main

    def call(device, *flags, model=TRANSFORMER):
        arguments = [data_bin, "--user-dir", USER_DIR, *model, *OPTIONS, "--save-dir", tmp_path, *flags]
        arguments += ["--criterion", "label_smoothed_cross_entropy_rdrop", "--distributed-world-size", "1"]
        arguments += ["--cpu"] * (device == "cpu")
        monkeypatch.setattr(sys, "argv", ["fairseq-train", *map(str, arguments)])
        caplog.clear()
        with caplog.at_level(logging.INFO):
            cli_main()
        return [json.loads(record.message) for record in caplog.records if record.name == "train_inner"]

    return call


def check(found, updates):
    """Every update is there with a finite loss, and in the last one with R-Drop the passes differ."""
    assert [int(record["num_updates"]) for record in found] == [*range(1, updates + 1)]
    for record in found:
        assert math.isfinite(float(record["loss"]))
    assert [float(kl) for record in found if (kl := record["rdrop_kl_loss"])][-1] > 0


@pytest.mark.parametrize("name", TRAININGS)
def test_training(train, model_device, name):
    """Training runs with each of fairseq's features."""
    check(train(model_device, *TRAININGS[name], "--max-update", "3"), 3)


def test_training_of_an_lstm(train, model_device):
    """An LSTM trains with cutoff."""
    flags = "--dropout 0.5 --rdrop-cutoff 0.5 --max-update 20".split()  # its passes differ late
    check(train(model_device, *flags, model=MODELS["lstm"][0].split()), 20)


@pytest.mark.cuda
@pytest.mark.parametrize("name", PRECISIONS)
def test_half_precision(train, name):
    """The loss of the first update is that of fp32 to the digits of fp16; later ones are finite."""
    flags = [*NO_DROPOUT, "--max-update", "4", "--disable-validation", "--no-save", "--rdrop-cutoff", "0.1"]
    flags += ["--fp16-init-scale", "4"]  # no overflow
    half = train(gpu(), *flags, *PRECISIONS[name])
    check(half, 4)
    full = train(gpu(), *flags)
    assert float(half[0]["loss"]) == pytest.approx(float(full[0]["loss"]), rel=2e-2)


def test_a_resumed_training_goes_on(train, model_device):
    """Its losses are those of one in a single piece; on a GPU sums are not in a fixed order."""
    whole = train(model_device, "--max-update", "4", "--no-save")
    parts = [*train(model_device, "--max-update", "2"), *train(model_device, "--max-update", "4")]
    assert [record["num_updates"] for record in parts] == ["1", "2", "3", "4"]
    assert len(whole) == 4
    for part, expected in zip(parts, whole):
        assert float(part["loss"]) == pytest.approx(float(expected["loss"]), rel=1e-3)


@pytest.mark.cuda
def test_bf16_by_hydra(data_bin, tmp_path):
    """fairseq-hydra-train trains in bf16 on a GPU."""
    gpu()
    config = HYDRA_CONFIG.format(user_dir=USER_DIR, data=data_bin, save_dir=tmp_path / "checkpoints")
    (tmp_path / "tiny.yaml").write_text(config)
    command = ["fairseq-hydra-train", "--config-dir", tmp_path, "--config-name", "tiny"]
    check(records(run(*command, f"hydra.run.dir={tmp_path}").stdout, "train_inner"), 2)


@pytest.mark.parametrize("find_unused", [False, True])
def test_ddp_with_one_process(data_bin, tmp_path, model_device, find_unused):
    """The gradients under torch's DDP, as fairseq wraps a model in pytorch_ddp, are those without it."""
    from fairseq.distributed import ModuleProxyWrapper

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
