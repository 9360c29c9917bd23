"""fairseq's commands, most in the tests' process, which spares their start of four seconds."""

import importlib
import io
import json
import logging
import re
import sys
from contextlib import redirect_stdout
from unittest import mock

from conftest import TRANSFORMER, USER_DIR, run

FORMAT = "%(asctime)s | %(levelname)s | %(name)s | %(message)s"  # as fairseq_cli/train.py has it
PLUGIN = ["--user-dir", USER_DIR]
# No buffer: its thread, still at work when a training of a few updates ends, can abort the interpreter.
OPTIONS = [
    *"--optimizer adam --lr 0.01 --lr-scheduler fixed --max-tokens 400 --label-smoothing 0.1".split(),
    *"--no-epoch-checkpoints --num-workers 0 --data-buffer-size 0 --seed 3".split(),
    *"--log-interval 1 --log-format json".split(),
]
RDROP = ["--criterion", "label_smoothed_cross_entropy_rdrop"]
EVAL_BLEU = '--eval-bleu --eval-bleu-detok space --report-accuracy --eval-bleu-args {"beam":1}'


def call(command, *arguments):
    """The module of fairseq_cli with the plugin; returns what it logs and prints."""
    out, root = io.StringIO(), logging.getLogger()
    level = root.level
    argv = [command, *map(str, arguments), *PLUGIN]
    logging.disable(logging.NOTSET)  # a benchmark in this process may have turned it off
    with mock.patch.object(sys, "argv", argv), mock.patch.object(root, "handlers", []), redirect_stdout(out):
        logging.basicConfig(format=FORMAT, level="INFO", stream=out)
        try:
            importlib.import_module(f"fairseq_cli.{command}").cli_main()
        finally:
            root.setLevel(level)
    return out.getvalue()


def train(data, save_dir, *flags, model=TRANSFORMER, device="cpu"):
    """fairseq-train with R-Drop; the last of two flags counts."""
    flags = ["--distributed-world-size", "1", *["--cpu"] * (device == "cpu"), *flags]
    return call("train", data, *model, *OPTIONS, *RDROP, "--save-dir", save_dir, *flags)


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
dataset: {{max_tokens: 400, num_workers: 0, data_buffer_size: 0}}
optimization: {{lr: [0.01], max_update: 2}}
checkpoint: {{save_dir: {folder}, no_epoch_checkpoints: true}}
"""


def hydra_train(data, folder, *settings, check=True):
    """fairseq-hydra-train, in a process of its own: three passes with a rate each, a warm-up, an interval."""
    (folder / "tiny.yaml").write_text(HYDRA_CONFIG.format(user_dir=USER_DIR, data=data, folder=folder))
    command = [sys.executable, "-m", "fairseq_cli.hydra_train"]  # where no command is installed, too
    flags = ["--config-dir", folder, "--config-name", "tiny"]
    return run(*command, *flags, f"hydra.run.dir={folder}", *settings, check=check)


def records(log, kind):
    """The JSON records of a training log: kind is train_inner, train or valid."""
    prefix = rf"(?:\| {kind} \||\[{kind}\]\[INFO\] -)"  # fairseq-train, fairseq-hydra-train
    return [json.loads(m) for m in re.findall(prefix + r" (\{.*\})", log)]
