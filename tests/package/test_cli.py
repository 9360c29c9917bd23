"""fairseq's own commands with --user-dir, as a user calls them."""

import math
import os
import pickle
import re
import sys
import types
from subprocess import DEVNULL

import pytest
import torch
from conftest import OFFICIAL, PLAIN, USER_DIR, run
from training import EVAL_BLEU, PLUGIN, RDROP, RECIPE, records

pytest.importorskip("fairseq")


def curve(log):
    keys = ("loss", "nll_loss", "rdrop_kl_loss", "rdrop_alpha", "gnorm")
    return {r["num_updates"]: {key: r.get(key) for key in keys} for r in records(log, "train_inner")}


@pytest.fixture(scope="session")
def trained(data_bin, tmp_path_factory):
    """A run of 3 epochs with BLEU and accuracy: (checkpoint folder, log)."""
    folder = tmp_path_factory.mktemp("trained")
    command = ["fairseq-train", data_bin, *PLUGIN, *RECIPE, *RDROP, "--save-dir", folder, *EVAL_BLEU]
    return folder, run(*command, "--max-epoch", "3").stdout


def test_train_logs(trained):
    """Updates log a KL and a falling loss; validation logs BLEU and accuracy, and no KL."""
    _, log = trained
    assert "R-Drop: 2 passes, alpha 5, fused loss (decoder.output_projection)" in log
    losses = [float(r["loss"]) for r in records(log, "train_inner")]
    assert losses[-1] < losses[0]
    assert all(float(r["rdrop_kl_loss"]) > 0 for r in records(log, "train_inner"))
    for record in records(log, "valid"):
        assert {"valid_loss", "valid_ppl", "valid_bleu", "valid_accuracy"} <= record.keys()
        assert "valid_rdrop_kl_loss" not in record


def test_one_pass_logs_what_a_plain_run_logs(train, tmp_path):
    """Loss, perplexity and tokens are comparable between criterions, and nothing is added to the records."""
    options = "--optimizer sgd --lr 0.001 --disable-validation --no-save --report-accuracy --max-update 10"
    ours, plain = (
        records(train(tmp_path, *options.split(), *flags), "train_inner")
        for flags in (["--rdrop-passes", "1"], ["--criterion", PLAIN])
    )
    assert len(ours) == len(plain) == 10
    for a, b in zip(ours, plain):
        assert a.keys() == b.keys()
        for key in ("loss", "nll_loss", "ppl", "accuracy", "gnorm", "wpb", "bsz"):
            assert math.isclose(float(a[key]), float(b[key]), rel_tol=2e-3), (key, a, b)


VARIANTS = {
    "fused": "",
    # stopped in the middle of its warm-up: 1 plain update, then alpha 0, 5/3, 10/3
    "schedule": "--rdrop-loss plain --rdrop-start-update 1 --rdrop-warmup-updates 3",
    # stopped in the middle of an interval: only the 2nd update of these four has a KL
    "interval": "--rdrop-start-update 1 --rdrop-interval 3 --dropout 0.2 --attention-dropout 0.1 "
    "--rdrop-passes 3 --rdrop-dropout 0.1,0.2,0.4 --rdrop-cutoff 0.1",
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_resume_continues_the_same_curve(train, tmp_path, variant):
    """A run that is stopped and resumed logs what one in a single piece logs."""
    options = (
        "--update-freq 2 --sentence-avg --ignore-prefix-size 1 --save-interval-updates 2 --max-tokens 100"
    )
    options = [*VARIANTS[variant].split(), *EVAL_BLEU, *options.split(), "--clip-norm", "1.0", "--max-update"]
    whole = curve(train(tmp_path / "whole", *options, "4"))
    first, second = (curve(train(tmp_path / "parts", *options, count)) for count in "24")
    assert list(whole) == ["1", "2", "3", "4"]
    assert first.keys() | second.keys() == whole.keys()
    assert {**first, **second} == whole
    if variant == "schedule":
        assert [row["rdrop_alpha"] for row in whole.values()] == [None, "0", "1.6667", "3.3333"]
    if variant == "interval":
        assert [row["rdrop_kl_loss"] is None for row in whole.values()] == [True, False, True, True]


def test_the_kl_of_an_interval_is_logged_from_the_updates_that_have_it(train, tmp_path):
    """A record is the mean over the tokens of its updates with a KL, without alpha's factor, or has none.

    R-Drop is in updates 1, 4 and 7; of the records every 2 updates the third falls between.
    """
    options = "--rdrop-interval 3 --max-update 8 --disable-validation --no-save --max-tokens 200".split()
    each, pairs = (train(tmp_path / n, *options, "--log-interval", n) for n in "12")
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
    every = curve(train(tmp_path / "no", *options, "--rdrop-interval", "1"))
    assert every["1"]["rdrop_kl_loss"] == kls[0]


@pytest.mark.skipif(OFFICIAL, reason="on torch 2 its model, where it only evaluates, asks for a mask type")
def test_generate_interactive_and_validate(trained, data_bin, text_dir):
    """fairseq's other commands take a checkpoint of R-Drop, with the plain criterion as well."""
    common = [*PLUGIN, "--path", trained[0] / "checkpoint_last.pt"]
    # By default fairseq-generate drops what is over a multiple of 8 sentences.
    common += "--task translation --source-lang de --target-lang en --required-batch-size-multiple 1".split()
    for command in (
        ["fairseq-generate", data_bin, *common, "--beam", "2"],
        ["fairseq-interactive", data_bin, *common, "--input", text_dir / "test.de"],
    ):
        assert len(re.findall(r"^D-\d+\t", run(*command, stderr=DEVNULL).stdout, re.M)) == 20
    validate = ["fairseq-validate", data_bin, *common, "--max-tokens", "400", "--log-format", "json"]
    plain = ["--criterion", PLAIN, "--label-smoothing", "0.1", "--report-accuracy"]
    ours, theirs = (run(*validate, *criterion).stdout for criterion in ([], plain))
    pattern = r"\{.*valid_loss.*\}|valid on .* subset \|.*"
    ours, theirs = (re.findall(pattern, text)[-1] for text in (ours, theirs))
    assert ours == theirs  # loss, nll_loss, ppl, accuracy


HYDRA_CONFIG = """
common: {{user_dir: {user_dir}, bf16: true, log_interval: 1, log_format: json}}
task: {{_name: translation, data: {data}, source_lang: de, target_lang: en}}
model:
  _name: transformer
  base_layers: 0  # the official fairseq compares it with a number
  encoder: {{embed_dim: 32, ffn_embed_dim: 64, layers: 1, attention_heads: 4}}
  decoder: {{embed_dim: 32, ffn_embed_dim: 64, layers: 1, attention_heads: 4}}
criterion:
  _name: label_smoothed_cross_entropy_rdrop
  label_smoothing: 0.1
  rdrop_alpha: 2.5
  rdrop_ce_reduction: mean
  rdrop_passes: 3
  rdrop_forward: separate
  rdrop_dropout: [0.1, 0.2, 0.3]
  rdrop_warmup_updates: 2
  rdrop_interval: 2
optimizer: {{_name: adam}}
lr_scheduler: {{_name: fixed}}
dataset: {{max_tokens: 400, num_workers: 0}}
optimization: {{lr: [0.01], max_update: 2}}
checkpoint: {{save_dir: {save_dir}, no_epoch_checkpoints: true}}
"""


def test_hydra_train_in_bf16_with_everything_and_resume(data_bin, tmp_path):
    """A YAML file sets three passes with a dropout rate each, a warm-up, an interval and bf16."""
    config = HYDRA_CONFIG.format(user_dir=USER_DIR, data=data_bin, save_dir=tmp_path / "checkpoints")
    (tmp_path / "tiny.yaml").write_text(config)
    command = ["fairseq-hydra-train", "--config-dir", tmp_path, "--config-name", "tiny"]
    updates = []
    for max_update in (2, 4):
        out = run(*command, f"optimization.max_update={max_update}", f"hydra.run.dir={tmp_path}").stdout
        assert "R-Drop: 3 passes in every 2nd update, alpha 2.5 (5 in those updates), reached after" in out
        updates += [(r["num_updates"], r.get("rdrop_alpha")) for r in records(out, "train_inner")]
    assert updates == [("1", "0"), ("2", None), ("3", "2.5"), ("4", None)]


def test_meters_of_checkpoints_before_2020_load(tmp_path, monkeypatch):
    """Regression: published models of that time, which may have them, could not be loaded."""
    from fairseq.logging.meters import StopwatchMeter

    old = types.ModuleType("fairseq.meters")
    old.StopwatchMeter = StopwatchMeter
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "fairseq.meters", old)
        patch.setattr(StopwatchMeter, "__module__", "fairseq.meters")
        meter = StopwatchMeter()
        meter.sum = 3.0
        torch.save({"extra_state": {"train_meters": {"train_wall": meter}}}, tmp_path / "old.pt")
    assert torch.load(tmp_path / "old.pt")["extra_state"]["train_meters"]["train_wall"].sum == 3.0


class CallsSystem:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.skipif(torch.__version__ < "2.6", reason="torch.load's default was weights_only=False")
def test_checkpoint_that_runs_code_is_refused(trained, train, data_bin, tmp_path):
    """Neither resume nor generate calls what a checkpoint has pickled."""
    canary = tmp_path / "canary"
    state = torch.load(trained[0] / "checkpoint_last.pt")
    state["extra_state"]["surprise"] = CallsSystem(f"touch {canary}")
    checkpoint = tmp_path / "checkpoint_last.pt"
    torch.save(state, checkpoint)
    refused = r"(?s)Weights only load failed.*posix\.system"
    with pytest.raises(pickle.UnpicklingError, match=refused):
        train(tmp_path, "--max-epoch", "4")
    generated = run("fairseq-generate", data_bin, *PLUGIN, "--path", checkpoint, check=False)
    assert generated.returncode != 0
    assert re.search(refused, generated.stdout)
    assert not canary.exists()
    torch.load(checkpoint, weights_only=False)  # the trap is real
    assert canary.exists()
