"""fairseq's own commands with --user-dir, as a user calls them."""

import math
import re

import pytest
import torch
from conftest import OFFICIAL, PLAIN, TRANSFORMER, run
from training import EVAL_BLEU, OPTIONS, PLUGIN, RDROP, call, hydra_train, records, train

pytest.importorskip("fairseq")


def curve(log):
    keys = ("loss", "nll_loss", "rdrop_kl_loss", "rdrop_alpha", "gnorm")
    return {r["num_updates"]: {key: r.get(key) for key in keys} for r in records(log, "train_inner")}


@pytest.fixture(scope="module")
def trained(data_bin, tmp_path_factory):
    """A run of 3 epochs with BLEU and accuracy, in a process of its own: (checkpoint folder, log)."""
    folder = tmp_path_factory.mktemp("trained")
    command = ["fairseq-train", data_bin, *PLUGIN, *TRANSFORMER, *OPTIONS, *RDROP, *EVAL_BLEU.split()]
    return folder, run(*command, "--save-dir", folder, "--max-epoch", "3").stdout


def test_train_logs(trained):
    """Updates log a KL and a falling loss; validation logs BLEU and accuracy, and no KL."""
    _, log = trained
    assert len(re.findall(r"R-Drop: repaired of fairseq: .*; RDROP_REPAIRS=none leaves it out", log)) == 1
    assert "R-Drop: 2 passes, alpha 5, fused loss (decoder.output_projection)" in log
    losses = [float(r["loss"]) for r in records(log, "train_inner")]
    assert losses[-1] < losses[0]
    assert all(float(r["rdrop_kl_loss"]) > 0 for r in records(log, "train_inner"))
    for record in records(log, "valid"):
        assert {"valid_loss", "valid_ppl", "valid_bleu", "valid_accuracy"} <= record.keys()
        assert "valid_rdrop_kl_loss" not in record


OF_R_DROP = {"rdrop_kl_loss", "rdrop_alpha", "gnorm"}  # which counts two passes


@pytest.mark.parametrize(
    ("flags", "ours", "theirs", "left_out", "digits"),
    [
        ("--max-update 50", "--rdrop-loss fused", "--rdrop-loss plain", set(), 1e-3),
        ("--max-update 10", "--rdrop-passes 1", f"--criterion {PLAIN}", set(), 2e-3),
        ("--max-update 1 --dropout 0", "--rdrop-alpha 0", f"--criterion {PLAIN}", OF_R_DROP, 1e-3),
    ],
    ids=["fused and plain loss", "one pass", "alpha 0"],
)
def test_two_trainings_log_the_same(data_bin, tmp_path, flags, ours, theirs, left_out, digits):
    """They are equal to the log's digits, under SGD: Adam divides what is rounding by its own size.

    So loss, perplexity and tokens are comparable between criterions; one pass adds nothing to the records.
    """
    flags += " --optimizer sgd --lr 0.001 --disable-validation --no-save --report-accuracy"
    a, b = (
        records(train(data_bin, tmp_path, *flags.split(), *more.split()), "train_inner")
        for more in (ours, theirs)
    )
    assert len(a) == len(b) == int(flags.split()[1])
    for one, other in zip(a, b):
        assert one.keys() - left_out == other.keys() - left_out
        for key in {"loss", "nll_loss", "ppl", "accuracy", "wpb", "bsz", "gnorm", "rdrop_kl_loss"} - left_out:
            if key in one:
                assert math.isclose(float(one[key]), float(other[key]), rel_tol=digits), (key, one, other)


VARIANTS = {
    "eval-bleu": EVAL_BLEU,
    # stopped in the middle of its warm-up: 1 plain update, then alpha 0, 5/3, 10/3
    "schedule": "--rdrop-loss plain --rdrop-start-update 1 --rdrop-warmup-updates 3",
    # stopped in the middle of an interval: only the 2nd update of these four has a KL
    "interval": "--rdrop-start-update 1 --rdrop-interval 3 --dropout 0.2 --attention-dropout 0.1 "
    "--rdrop-passes 3 --rdrop-dropout 0.1,0.2,0.4 --rdrop-cutoff 0.1",
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_resume_continues_the_same_curve(data_bin, tmp_path, variant):
    options = (
        "--update-freq 2 --sentence-avg --ignore-prefix-size 1 --save-interval-updates 2 --max-tokens 100"
    )
    options = [*VARIANTS[variant].split(), *options.split(), "--clip-norm", "1.0", "--max-update"]
    whole = curve(train(data_bin, tmp_path / "whole", *options, "4"))
    first, second = (curve(train(data_bin, tmp_path / "parts", *options, count)) for count in "24")
    assert list(whole) == ["1", "2", "3", "4"]
    assert first.keys() | second.keys() == whole.keys()
    assert {**first, **second} == whole
    if variant == "schedule":
        assert [row["rdrop_alpha"] for row in whole.values()] == [None, "0", "1.6667", "3.3333"]
    if variant == "interval":
        assert [row["rdrop_kl_loss"] is None for row in whole.values()] == [True, False, True, True]


def test_the_kl_of_an_interval_is_logged_from_the_updates_that_have_it(data_bin, tmp_path):
    """A record is the mean over the tokens of its updates with a KL, without alpha's factor, or has none.

    R-Drop is in updates 1, 4 and 7; of the records every 2 updates the third falls between.
    """
    options = "--rdrop-interval 3 --max-update 8 --disable-validation --no-save --max-tokens 200".split()
    each, pairs = (train(data_bin, tmp_path, *options, "--log-interval", n) for n in "12")
    kls = [r.get("rdrop_kl_loss") for r in records(each, "train_inner")]
    assert [kl is not None for kl in kls] == [True, False, False, True, False, False, True, False]
    in_pairs = [r.get("rdrop_kl_loss") for r in records(pairs, "train_inner")]
    assert in_pairs == [kls[0], kls[3], None, kls[6]]
    first = records(each, "train")[0]
    updates = int(first["train_num_updates"])
    assert 4 <= updates < 8  # two updates with a KL, at least, in the first epoch
    tokens = [float(r["wpb"]) for r in records(each, "train_inner")][:updates]
    mean = sum(float(kl) * n for kl, n in zip(kls, tokens) if kl) / sum(n for kl, n in zip(kls, tokens) if kl)
    assert math.isclose(float(first["train_rdrop_kl_loss"]), mean, abs_tol=2e-4)
    every = curve(train(data_bin, tmp_path, *options, "--rdrop-interval", "1"))
    assert every["1"]["rdrop_kl_loss"] == kls[0]


@pytest.mark.skipif(OFFICIAL, reason="on torch 2 its model, where it only evaluates, asks for a mask type")
def test_generate_interactive_and_validate(trained, data_bin, text_dir):
    """fairseq's other commands take a checkpoint of R-Drop, with the plain criterion as well."""
    common = ["--path", trained[0] / "checkpoint_last.pt"]
    # By default fairseq-generate drops what is over a multiple of 8 sentences.
    common += "--task translation --source-lang de --target-lang en --required-batch-size-multiple 1".split()
    generated = run("fairseq-generate", data_bin, *PLUGIN, *common, "--beam", "2").stdout
    interactive = call("interactive", data_bin, *common, "--input", text_dir / "test.de")
    for text in (generated, interactive):
        assert len(re.findall(r"^D-\d+\t", text, re.M)) == 20
    validate = [data_bin, *common, "--max-tokens", "400", "--log-format", "json"]
    plain = ["--criterion", PLAIN, "--label-smoothing", "0.1", "--report-accuracy"]
    ours, theirs = (call("validate", *validate, *criterion) for criterion in ([], plain))
    pattern = r"\{.*valid_loss.*\}|valid on .* subset \|.*"
    ours, theirs = (re.findall(pattern, text)[-1] for text in (ours, theirs))
    assert ours == theirs  # loss, nll_loss, ppl, accuracy


def test_hydra_train_in_bf16_with_everything_and_resume(data_bin, tmp_path):
    updates = []
    for max_update in (2, 4):
        out = hydra_train(data_bin, tmp_path, f"optimization.max_update={max_update}").stdout
        assert "R-Drop: 3 passes in every 2nd update, alpha 2.5 (5 in those updates), reached after" in out
        updates += [(r["num_updates"], r.get("rdrop_alpha")) for r in records(out, "train_inner")]
    assert updates == [("1", "0"), ("2", None), ("3", "2.5"), ("4", None)]


STILL = ["--lr", "1e-9", "--disable-validation", "--max-update"]
UNSET = ("_weight", "_bias", "_float_tensor")  # the official fairseq has them, and neither sets nor uses them
RESETS = "--reset-optimizer --reset-lr-scheduler --reset-dataloader --reset-meters".split()


def test_a_plain_run_goes_on_with_r_drop(data_bin, tmp_path):
    """By either of the flags that docs/criterion.md names; over the same folder fairseq says what to do.

    Regression: that ended in an AssertionError, and no page said which flags do it.
    """
    train(data_bin, tmp_path, "--criterion", PLAIN, *STILL, "2")
    checkpoint = tmp_path / "checkpoint_last.pt"
    before = torch.load(checkpoint)["model"]
    with pytest.raises(AssertionError, match="Criterion does not match; please reset the optimizer"):
        train(data_bin, tmp_path, *STILL, "3")
    for flags in (["--finetune-from-model", checkpoint], ["--restore-file", checkpoint, *RESETS]):
        out = tmp_path / flags[0]
        log = train(data_bin, out, *flags, *STILL, "3")
        assert re.search(r"Loaded checkpoint \S+checkpoint_last.pt \(epoch \d @ 0 updates\)", log)
        updates = records(log, "train_inner")
        assert [record["num_updates"] for record in updates] == ["1", "2", "3"]
        assert all(float(record["rdrop_kl_loss"]) > 0 for record in updates)
        after = torch.load(out / "checkpoint_last.pt")["model"]
        for name, parameter in before.items():  # the learning rate is next to nothing
            if not name.endswith(UNSET):
                torch.testing.assert_close(after[name], parameter, rtol=0, atol=1e-6)
