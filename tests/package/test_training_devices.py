"""fairseq-train on every device there is, in this process: precisions, resume, BLEU and models."""

import math

import pytest
from conftest import MODELS, NO_DROPOUT, TRANSFORMER
from devices import gpu
from training import EVAL_BLEU, hydra_train, records, train

pytest.importorskip("fairseq")

TRAININGS = {
    "eval-bleu, update-freq": f"{EVAL_BLEU} --update-freq 2 --max-tokens 100",
    "recomputed, cutoff": "--checkpoint-activations --rdrop-passes 3 --rdrop-cutoff 0.1",
    "plain loss": "--rdrop-loss plain",
    "lstm": "--dropout 0.5 --rdrop-cutoff 0.5 --max-update 20",  # its passes differ late
}


def check(found, updates):
    """Every update is there with a finite loss, and in the last one with R-Drop the passes differ."""
    assert [int(record["num_updates"]) for record in found] == [*range(1, updates + 1)]
    for record in found:
        assert math.isfinite(float(record["loss"]))
    assert [float(kl) for record in found if (kl := record["rdrop_kl_loss"])][-1] > 0


@pytest.mark.parametrize("name", TRAININGS)
def test_training(data_bin, tmp_path, model_device, name):
    model = MODELS["lstm"][0].split() if name == "lstm" else TRANSFORMER
    flags = ["--max-update", "3", *TRAININGS[name].split()]
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
