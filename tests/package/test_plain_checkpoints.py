"""From a plain run to R-Drop, by the flags that docs/criterion.md names."""

import re

import pytest
import torch
from conftest import PLAIN, run
from training import PLUGIN, RDROP, RECIPE, records

pytest.importorskip("fairseq")


@pytest.fixture(scope="module")
def plain(data_bin, tmp_path_factory):
    """The folder of a plain run of two updates."""
    folder = tmp_path_factory.mktemp("plain")
    flags = ["--criterion", PLAIN, "--save-dir", folder, "--max-update", "2", "--lr", "1e-9"]
    run("fairseq-train", data_bin, *RECIPE, *flags)
    return folder


GO_ON = ["--max-update", "3", "--lr", "1e-9"]
UNSET = ("_weight", "_bias", "_float_tensor")  # the official fairseq has them, and neither sets nor uses them
RESETS = "--reset-optimizer --reset-lr-scheduler --reset-dataloader --reset-meters".split()


def test_over_the_same_folder_fairseq_says_what_to_do(data_bin, plain):
    command = ["fairseq-train", data_bin, *PLUGIN, *RECIPE, *RDROP, "--save-dir", plain, *GO_ON]
    assert "Criterion does not match; please reset the optimizer" in run(*command, check=False).stdout


@pytest.mark.parametrize("flag", ["--finetune-from-model", "--restore-file"])
def test_a_plain_run_goes_on_with_r_drop(train, plain, tmp_path, flag):
    """Regression: over the same folder it ended in an AssertionError, and no page said which flags do it."""
    resets = RESETS if "restore" in flag else []
    log = train(tmp_path, flag, plain / "checkpoint_last.pt", *resets, *GO_ON)
    assert re.search(r"Loaded checkpoint \S+checkpoint_last.pt \(epoch \d @ 0 updates\)", log)
    updates = records(log, "train_inner")
    assert [record["num_updates"] for record in updates] == ["1", "2", "3"]
    assert all(float(record["rdrop_kl_loss"]) > 0 for record in updates)
    before, after = (torch.load(folder / "checkpoint_last.pt")["model"] for folder in (plain, tmp_path))
    for name, parameter in before.items():  # the learning rate is next to nothing
        if not name.endswith(UNSET):
            torch.testing.assert_close(after[name], parameter, rtol=0, atol=1e-6)
