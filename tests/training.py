"""Short trainings by fairseq-train, for the tests of the package."""

import json
import logging
import re
import sys

import pytest
from conftest import TRANSFORMER, USER_DIR

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


@pytest.fixture
def train(data_bin, monkeypatch, caplog):
    """fairseq-train with R-Drop in this process, which spares its start of four seconds; returns the log."""
    from fairseq_cli.train import cli_main

    def call(save_dir, *extra):
        command = [data_bin, *PLUGIN, *RECIPE, *RDROP, "--cpu", "--distributed-world-size", "1"]
        command += ["--save-dir", save_dir, *extra]
        monkeypatch.setattr(sys, "argv", ["fairseq-train", *map(str, command)])
        caplog.clear()
        with caplog.at_level(logging.INFO):
            cli_main()
        return "\n".join(f"| {record.name} | {record.message}" for record in caplog.records)

    return call


def records(log, kind):
    """The JSON records of a training log: kind is train_inner, train or valid."""
    prefix = rf"(?:\| {kind} \||\[{kind}\]\[INFO\] -)"  # fairseq-train, fairseq-hydra-train
    return [json.loads(m) for m in re.findall(prefix + r" (\{.*\})", log)]
