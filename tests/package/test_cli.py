"""fairseq's own commands with --user-dir, as a user calls them."""

import json
import math
import os
import re
import sys
import types
from subprocess import DEVNULL

import pytest
import torch
from conftest import OFFICIAL, TRANSFORMER, USER_DIR, run

pytest.importorskip("fairseq")

PLUGIN = ["--user-dir", USER_DIR]
# No buffer: its thread, still at work when a training of a few updates ends, can abort the interpreter.
RECIPE = [
    *TRANSFORMER,
    *"--optimizer adam --lr 0.01 --lr-scheduler fixed --max-tokens 400 --label-smoothing 0.1".split(),
    *"--no-epoch-checkpoints --num-workers 0 --data-buffer-size 0 --seed 3".split(),
    *"--log-interval 1 --log-format json".split(),
]
RDROP = ["--criterion", "label_smoothed_cross_entropy_rdrop"]
EVAL_BLEU = [*"--eval-bleu --eval-bleu-detok space --report-accuracy --eval-bleu-args".split(), '{"beam": 1}']


def train(data, save_dir, *extra, check=True):
    command = ["fairseq-train", data, *PLUGIN, *RECIPE, *RDROP, "--save-dir", save_dir, *extra]
    return run(*command, check=check).stdout


def records(log, kind):
    """The JSON records of a training log: kind is train_inner, train or valid."""
    prefix = rf"(?:\| {kind} \||\[{kind}\]\[INFO\] -)"  # fairseq-train, fairseq-hydra-train
    return [json.loads(m) for m in re.findall(prefix + r" (\{.*\})", log)]


def curve(log):
    keys = ("loss", "nll_loss", "rdrop_kl_loss", "rdrop_alpha", "gnorm")
    return {r["num_updates"]: {key: r.get(key) for key in keys} for r in records(log, "train_inner")}


@pytest.fixture(scope="session")
def trained(data_bin, tmp_path_factory):
    """A run of 3 epochs with BLEU and accuracy: (checkpoint folder, log)."""
    folder = tmp_path_factory.mktemp("trained")
    return folder, train(data_bin, folder, *EVAL_BLEU, "--max-epoch", "3")


def test_train_logs(trained):
    _, log = trained
    assert "R-Drop: 2 passes, alpha 5, fused loss (decoder.output_projection)" in log
    losses = [float(r["loss"]) for r in records(log, "train_inner")]
    assert losses[-1] < losses[0]
    assert all(float(r["rdrop_kl_loss"]) > 0 for r in records(log, "train_inner"))
    for record in records(log, "valid"):
        assert {"valid_loss", "valid_ppl", "valid_bleu", "valid_accuracy"} <= record.keys()
        assert "valid_rdrop_kl_loss" not in record


def test_alpha_0_logs_what_a_plain_run_logs(data_bin, tmp_path):
    """The first update, with dropout 0: loss, perplexity and tokens are comparable between criterions."""
    options = ["--dropout", "0", "--max-update", "1", "--disable-validation", "--report-accuracy"]
    ours = train(data_bin, tmp_path / "a", *options, "--rdrop-alpha", "0")
    command = ["fairseq-train", data_bin, *RECIPE, "--criterion", "label_smoothed_cross_entropy"]
    plain = run(*command, "--save-dir", tmp_path / "b", *options).stdout
    ours, plain = records(ours, "train_inner")[0], records(plain, "train_inner")[0]
    for key in ("loss", "nll_loss", "ppl", "accuracy", "wpb", "bsz"):
        assert math.isclose(float(ours[key]), float(plain[key]), rel_tol=1e-3), key


VARIANTS = {
    "fused": [],
    "plain": ["--rdrop-loss", "plain"],
    # stopped in the middle of its warm-up: 1 plain update, then alpha 0, 5/3, 10/3
    "schedule": ["--rdrop-start-update", "1", "--rdrop-warmup-updates", "3"],
    # stopped in the middle of an interval: only the 2nd update of these four has a KL
    "interval": ["--rdrop-start-update", "1", "--rdrop-interval", "3"],
    "dropout": [
        *["--dropout", "0.2", "--attention-dropout", "0.1", "--rdrop-passes", "3"],
        *["--rdrop-dropout", "0.1,0.2,0.4", "--rdrop-cutoff", "0.1"],
    ],
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_resume_continues_the_same_curve(data_bin, tmp_path, variant):
    options = [*VARIANTS[variant], "--update-freq", "2", "--sentence-avg", "--ignore-prefix-size", "1"]
    options += ["--save-interval-updates", "2", "--clip-norm", "1.0", "--max-tokens", "100"]
    whole = curve(train(data_bin, tmp_path / "whole", *options, *EVAL_BLEU, "--max-update", "4"))
    first = curve(train(data_bin, tmp_path / "parts", *options, *EVAL_BLEU, "--max-update", "2"))
    second = curve(train(data_bin, tmp_path / "parts", *options, *EVAL_BLEU, "--max-update", "4"))
    assert list(whole) == ["1", "2", "3", "4"]
    assert first.keys() | second.keys() == whole.keys()
    assert {**first, **second} == whole
    if variant == "schedule":
        assert [row["rdrop_alpha"] for row in whole.values()] == [None, "0", "1.6667", "3.3333"]
    if variant == "interval":
        assert [row["rdrop_kl_loss"] is None for row in whole.values()] == [True, False, True, True]


def test_the_kl_of_an_interval_is_logged_from_the_updates_that_have_it(data_bin, tmp_path):
    """R-Drop in updates 1, 4 and 7, a record every 2 updates: the third falls between, and the epoch's
    value is the mean over their tokens, none over others', without the factor of alpha."""
    options = "--rdrop-interval 3 --max-update 8 --disable-validation --no-save --max-tokens 200".split()
    each, pairs = (
        train(data_bin, tmp_path / every, *options, "--log-interval", every) for every in ("1", "2")
    )
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
    every = curve(train(data_bin, tmp_path / "no", *options, "--rdrop-interval", "1"))
    assert every["1"]["rdrop_kl_loss"] == kls[0]


def test_fused_and_plain_give_the_same_curve(data_bin, tmp_path):
    """To the digits of the log, under SGD: Adam divides what is rounding by its own size."""
    options = [
        "--optimizer",
        "sgd",
        "--lr",
        "0.001",
        "--max-update",
        "50",
        "--disable-validation",
        "--no-save",
    ]
    fused, plain = (
        records(train(data_bin, tmp_path / path, "--rdrop-loss", path, *options), "train_inner")
        for path in ("fused", "plain")
    )
    assert len(fused) == len(plain) == 50
    for a, b in zip(fused, plain):
        for key in ("loss", "nll_loss", "rdrop_kl_loss", "gnorm"):
            assert math.isclose(float(a[key]), float(b[key]), rel_tol=1e-3), (key, a, b)


@pytest.mark.skipif(
    OFFICIAL, reason="on torch 2 a model that it only evaluates asks: Mask Type should be defined"
)
def test_generate_interactive_and_validate(trained, data_bin, text_dir):
    checkpoint = trained[0] / "checkpoint_last.pt"
    common = [
        *PLUGIN,
        "--path",
        checkpoint,
        "--task",
        "translation",
        "--source-lang",
        "de",
        "--target-lang",
        "en",
    ]
    # By default fairseq-generate drops what is over a multiple of 8 sentences.
    common += ["--required-batch-size-multiple", "1"]
    generated = run("fairseq-generate", data_bin, *common, "--beam", "2", stderr=DEVNULL).stdout
    assert len(re.findall(r"^D-\d+\t", generated, re.M)) == 20
    interactive = run(
        "fairseq-interactive", data_bin, *common, "--input", text_dir / "test.de", stderr=DEVNULL
    ).stdout
    assert len(re.findall(r"^D-\d+\t", interactive, re.M)) == 20
    plain = ["--criterion", "label_smoothed_cross_entropy", "--label-smoothing", "0.1", "--report-accuracy"]
    ours, theirs = (
        run(
            "fairseq-validate", data_bin, *common, "--max-tokens", "400", "--log-format", "json", *criterion
        ).stdout
        for criterion in ([], plain)
    )
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
    """Three passes with a dropout rate each, a warm-up, an interval, the fused loss, bf16."""
    config = HYDRA_CONFIG.format(user_dir=USER_DIR, data=data_bin, save_dir=tmp_path / "checkpoints")
    (tmp_path / "tiny.yaml").write_text(config)
    command = ["fairseq-hydra-train", "--config-dir", tmp_path, "--config-name", "tiny"]
    updates = []
    for max_update in (2, 4):
        out = run(*command, f"optimization.max_update={max_update}", f"hydra.run.dir={tmp_path}").stdout
        assert "R-Drop: 3 passes in every 2nd update, alpha 2.5 (5 in those updates), reached after" in out
        updates += [(r["num_updates"], r.get("rdrop_alpha")) for r in records(out, "train_inner")]
    assert updates == [("1", "0"), ("2", None), ("3", "2.5"), ("4", None)]


def test_one_pass_logs_what_a_plain_run_logs(data_bin, tmp_path):
    """Ten updates under SGD, with dropout: the same records but for rounding, and no KL."""
    options = "--optimizer sgd --lr 0.001 --max-update 10 --disable-validation --no-save --report-accuracy"
    ours = records(train(data_bin, tmp_path / "a", *options.split(), "--rdrop-passes", "1"), "train_inner")
    command = ["fairseq-train", data_bin, *RECIPE, "--criterion", "label_smoothed_cross_entropy"]
    plain = records(run(*command, "--save-dir", tmp_path / "b", *options.split()).stdout, "train_inner")
    assert len(ours) == len(plain) == 10
    for a, b in zip(ours, plain):
        assert a.keys() == b.keys()  # no rdrop_kl_loss
        for key in ("loss", "nll_loss", "ppl", "accuracy", "gnorm", "wpb", "bsz"):
            assert math.isclose(float(a[key]), float(b[key]), rel_tol=2e-3), (key, a, b)


def test_meters_of_checkpoints_before_2020_load(tmp_path, monkeypatch):
    """Published models of that time may have them; nobody who has such a file could load it."""
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
def test_checkpoint_that_runs_code_is_refused(trained, data_bin, tmp_path):
    """Neither resume nor generate may call what a checkpoint has pickled."""
    canary = tmp_path / "canary"
    state = torch.load(trained[0] / "checkpoint_last.pt")
    state["extra_state"]["surprise"] = CallsSystem(f"touch {canary}")
    checkpoint = tmp_path / "checkpoint_last.pt"
    torch.save(state, checkpoint)
    resumed = run(
        *("fairseq-train", data_bin, *PLUGIN, *RECIPE, *RDROP, "--save-dir", tmp_path, "--max-epoch", "4"),
        check=False,
    )
    generated = run("fairseq-generate", data_bin, *PLUGIN, "--path", checkpoint, check=False)
    for result in (resumed, generated):
        assert result.returncode != 0
        assert "posix.system" in result.stdout
        assert "Weights only load failed" in result.stdout
    assert not canary.exists()
    torch.load(checkpoint, weights_only=False)  # the trap is real
    assert canary.exists()
