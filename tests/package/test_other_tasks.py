"""Tasks of fairseq and of its users that do something else with a criterion than translation does."""

import importlib

import pytest
import torch
from conftest import TRANSFORMER, Setup
from training import train

pytest.importorskip("fairseq")

from fairseq.tasks import register_task
from fairseq.tasks.translation import TranslationConfig, TranslationTask

from rdrop_fairseq.errors import RDropError


@register_task("by_compute_loss", dataclass=TranslationConfig)
class ByComputeLoss(TranslationTask):
    """As fairseq's translation_moe makes its loss: without the criterion's forward."""

    def train_step(self, sample, model, criterion, optimizer, update_num, ignore_grad=False):
        model.train()
        loss, _ = criterion.compute_loss(model, model(**sample["net_input"]), sample, reduce=False)
        loss = loss.sum()
        optimizer.backward(loss)
        log = {"loss": loss.data, "ntokens": sample["ntokens"], "sample_size": sample["ntokens"]}
        return loss, sample["ntokens"], {**log, "nsentences": sample["target"].size(0)}


def test_a_task_that_calls_compute_loss_does_not_train_without_r_drop(data_bin, tmp_path):
    """Regression: it trained plainly, at any alpha and number of passes, and nothing said so."""
    flags = ["--task", "by_compute_loss", "--max-update", "2"]
    with pytest.raises(SystemExit) as end:
        train(data_bin, tmp_path, *flags)
    assert end.value.code == (
        "error: the task by_compute_loss calls compute_loss and not the criterion: R-Drop would not be "
        "applied; train it with --criterion label_smoothed_cross_entropy, or --rdrop-passes 1"
    )
    assert not list(tmp_path.rglob("*.pt"))
    assert '"valid_loss"' in train(data_bin, tmp_path, *flags, "--rdrop-passes", "1")


def test_compute_loss_of_user_code(data_bin):
    """Regression: called with a model in training, it gave the plain loss; in evaluation it still does."""
    setup = Setup(data_bin, TRANSFORMER)
    sample, criterion, model = setup.batch(), setup.criterion, setup.model
    model.train()
    with pytest.raises(RDropError, match="the task translation calls compute_loss"):
        criterion.compute_loss(model, model(**sample["net_input"]), sample)
    model.eval()
    with torch.no_grad():
        loss, _ = criterion.compute_loss(model, model(**sample["net_input"]), sample)
    assert torch.equal(loss, setup.valid_step(sample)[0])


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
