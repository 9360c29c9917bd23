"""What is repaired of fairseq (repairs.py): BLEU, numpy's names, and what a checkpoint may have in it."""

import importlib
import os
import pickle
import sys
import types

import pytest
import torch
from conftest import MODELS, TRANSFORMER, Setup
from training import call, train

pytest.importorskip("fairseq")

from fairseq.logging import meters, metrics
from fairseq.tasks import register_task
from fairseq.tasks.translation import TranslationConfig, TranslationTask


def scored(counts, totals, sys_len, ref_len):
    """The logging output of a validation batch."""
    log = {"loss": 3.0, "nll_loss": 3.0, "ntokens": 9, "nsentences": 2, "sample_size": 9}
    log.update({f"_bleu_counts_{n}": count for n, count in enumerate(counts)})
    log.update({f"_bleu_totals_{n}": total for n, total in enumerate(totals)})
    return {**log, "_bleu_sys_len": sys_len, "_bleu_ref_len": ref_len}


EMPTY = scored([0] * 4, [0] * 4, 0, 9)
GOOD = scored([8, 6, 4, 3], [9, 8, 7, 6], 9, 9)


def test_outputs_that_are_all_empty_have_bleu_0(data_bin):
    """Regression: fairseq logged none, and a training that keeps the best by BLEU ended in a KeyError.

    Batches with outputs before or after count as ever, and a step of training has no BLEU.
    """
    setup = Setup(data_bin, [*TRANSFORMER, "--eval-bleu"])

    def bleu(*batches):
        with metrics.aggregate() as found:
            for batch in batches:
                setup.task.reduce_metrics([batch], setup.criterion)
        return found.get_smoothed_values().get("bleu")

    assert bleu(EMPTY) == bleu(EMPTY, EMPTY) == 0.0
    together = scored([8, 6, 4, 3], [9, 8, 7, 6], 9, 18)
    assert bleu(EMPTY, GOOD) == bleu(GOOD, EMPTY) == bleu(together) > 10
    training = {key: value for key, value in GOOD.items() if "bleu" not in key}
    assert bleu(training) is None


NUMPY = {
    "transformer_lm_by_sentence": [*MODELS["transformer_lm"][0].split(), "--sample-break-mode", "eos"],
    "buckets": [*TRANSFORMER, "--num-batch-buckets", "2"],
}


@pytest.mark.parametrize("case", NUMPY)
def test_fairseq_s_data_on_this_numpy(model_data, tmp_path, case):
    """Regression: module 'numpy' has no attribute 'compat'; percentile() got an unexpected argument."""
    flags = ["--max-update", "2", "--no-save", "--log-format", "simple"]
    log = train(model_data, tmp_path, *flags, model=NUMPY[case])
    assert "num_updates 2" in log
    assert "rdrop_kl_loss" in log


@register_task("with_state", dataclass=TranslationConfig)
class WithState(TranslationTask):
    def __init__(self, cfg, src_dict, tgt_dict):
        super().__init__(cfg, src_dict, tgt_dict)
        self.state.add_factory("target_dictionary", lambda: tgt_dict)
        self.state.target_dictionary  # noqa: B018  made by it


def test_a_task_with_a_dictionary_in_its_state_resumes(data_bin, tmp_path):
    """Regression: its own checkpoints were refused, as if their dictionary could run code."""
    flags = ["--task", "with_state", "--disable-validation", "--max-update"]
    train(data_bin, tmp_path, *flags, "2")
    assert "checkpoint_last.pt (epoch 1 @ 2 updates)" in train(data_bin, tmp_path, *flags, "3")


# Every task of fairseq's that puts something in its state: module, class without "Task", settings.
TASKS_WITH_STATE = [
    ("audio_finetuning", "AudioFinetuning", {"labels": "ltr"}),
    ("audio_classification", "AudioClassification", {"labels": "ltr"}),
    ("hubert_pretraining", "HubertPretraining", {"labels": ["ltr"], "fine_tuning": True}),
    ("hubert_pretraining", "HubertPretraining", {"labels": ["ltr"]}),
    ("multires_hubert_pretraining", "MultiresHubertPretraining", {"labels": ["ltr", ""]}),
    ("nlu_finetuning", "NLUFinetuning", {"labels": "ltr"}),
]


@pytest.mark.parametrize(("module", "name", "settings"), TASKS_WITH_STATE)
def test_the_state_of_every_task_loads(tmp_path, module, name, settings):
    """Regression: Unsupported global, fairseq.data.dictionary.Dictionary."""
    try:
        tasks = importlib.import_module(f"fairseq.tasks.{module}")
    except ImportError as error:
        pytest.skip(f"not in this build of fairseq: {error}")
    (tmp_path / "dict.ltr.txt").write_text("a 2\nb 1\n")
    config = getattr(tasks, f"{name}Config")(data=str(tmp_path))
    vars(config).update(settings)
    task = getattr(tasks, f"{name}Task").setup_task(config)
    for attribute in task.state._factories:
        getattr(task.state, attribute)
    torch.save({"task_state": task.state_dict()}, tmp_path / "checkpoint.pt")
    state = torch.load(tmp_path / "checkpoint.pt")["task_state"]
    assert state == task.state_dict()
    assert state.keys() == task.state._factories.keys()


def test_meters_of_checkpoints_before_2020_load(tmp_path, monkeypatch):
    """Regression: published models of that time, which may have them, could not be loaded."""
    old = types.ModuleType("fairseq.meters")
    old.StopwatchMeter = meters.StopwatchMeter
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "fairseq.meters", old)
        patch.setattr(meters.StopwatchMeter, "__module__", "fairseq.meters")
        meter = meters.StopwatchMeter()
        meter.sum = 3.0
        torch.save({"extra_state": {"train_meters": {"train_wall": meter}}}, tmp_path / "old.pt")
    assert torch.load(tmp_path / "old.pt")["extra_state"]["train_meters"]["train_wall"].sum == 3.0


class CallsSystem:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.skipif(torch.__version__ < "2.6", reason="torch.load's default was weights_only=False")
def test_checkpoint_that_runs_code_is_refused(data_bin, tmp_path):
    """Neither resume nor generate calls what a checkpoint has pickled."""
    train(data_bin, tmp_path, "--max-update", "1", "--disable-validation")
    canary = tmp_path / "canary"
    checkpoint = tmp_path / "checkpoint_last.pt"
    state = torch.load(checkpoint)
    state["extra_state"]["surprise"] = CallsSystem(f"touch {canary}")
    torch.save(state, checkpoint)
    refused = r"(?s)Weights only load failed.*posix\.system"
    with pytest.raises(pickle.UnpicklingError, match=refused):
        train(data_bin, tmp_path)
    with pytest.raises(pickle.UnpicklingError, match=refused):
        call("generate", data_bin, "--path", checkpoint)
    assert not canary.exists()
    torch.load(checkpoint, weights_only=False)  # the trap is real
    assert canary.exists()
