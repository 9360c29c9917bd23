"""From a plain run to R-Drop, by the flags that docs/criterion.md names."""

import re

import pytest
import torch
from conftest import PLAIN, USER_DIR, run
from test_cli import RDROP, RECIPE, records

pytest.importorskip("fairseq")


@pytest.fixture(scope="module")
def plain(data_bin, tmp_path_factory):
    """The folder of a plain run of two updates."""
    folder = tmp_path_factory.mktemp("plain")
    flags = ["--criterion", PLAIN, "--save-dir", folder, "--max-update", "2", "--lr", "1e-9"]
    run("fairseq-train", data_bin, *RECIPE, *flags)
    return folder


def go_on(data, save_dir, *flags, check=True):
    command = ["fairseq-train", data, "--user-dir", USER_DIR, *RECIPE, *RDROP, "--save-dir", save_dir, *flags]
    return run(*command, "--max-update", "3", "--lr", "1e-9", check=check).stdout


UNSET = ("_weight", "_bias", "_float_tensor")  # the official fairseq has them, and neither sets nor uses them
RESETS = "--reset-optimizer --reset-lr-scheduler --reset-dataloader --reset-meters".split()


def test_over_the_same_folder_fairseq_says_what_to_do(data_bin, plain):
    assert "Criterion does not match; please reset the optimizer" in go_on(data_bin, plain, check=False)


@pytest.mark.parametrize("flag", ["--finetune-from-model", "--restore-file"])
def test_a_plain_run_goes_on_with_r_drop(data_bin, plain, tmp_path, flag):
    """Regression: over the same folder it ended in an AssertionError, and no page said which flags do it."""
    log = go_on(
        data_bin, tmp_path, flag, plain / "checkpoint_last.pt", *(RESETS if "restore" in flag else [])
    )
    assert re.search(r"Loaded checkpoint \S+checkpoint_last.pt \(epoch \d @ 0 updates\)", log)
    updates = records(log, "train_inner")
    assert [record["num_updates"] for record in updates] == ["1", "2", "3"]
    assert all(float(record["rdrop_kl_loss"]) > 0 for record in updates)
    before, after = (torch.load(folder / "checkpoint_last.pt")["model"] for folder in (plain, tmp_path))
    for name, parameter in before.items():  # the learning rate is next to nothing
        if not name.endswith(UNSET):
            torch.testing.assert_close(after[name], parameter, rtol=0, atol=1e-6)
