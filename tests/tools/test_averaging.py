"""Checkpoints: which are averaged, their mean, what is refused; and the last one, cut short."""

import math
import os

import pytest
import torch
from bad_checkpoints import Runs, weights
from bad_input import assert_refused, call_here
from conftest import SCRIPTS, run
from fairseq.data import Dictionary

from rdrop_tools.cli import InputError
from rdrop_tools.training.average_checkpoints import average, choose


def save(folder, *names, metric="bleu"):
    """Parameters of every kind, tied ones too, and what else fairseq stores. Returns the models."""
    settings = {"best_checkpoint_metric": metric, "maximize_best_checkpoint_metric": metric == "bleu"}
    task_state = {"target_dictionary": Dictionary()}
    models = []
    for seed, name in enumerate(names):
        generator = torch.Generator().manual_seed(seed)
        embedding = torch.randn(5, 3, generator=generator)
        model = {
            "encoder.embed_tokens.weight": embedding,
            "decoder.embed_tokens.weight": embedding,
            "decoder.bias": torch.randn(7, generator=generator).half(),
            "decoder.rotation": torch.randn(2, generator=generator, dtype=torch.complex64),
            "decoder.version": torch.tensor([seed]),
        }
        state = {"model": model, "args": None, "cfg": {"checkpoint": settings}, "task_state": task_state}
        torch.save(state | {"last_optimizer_state": {"state": embedding}}, folder / name)
        models.append(model)
    return models


def chosen(folder, which="last", count=2, metric=None):
    return [path.name for path in choose(folder, which, count, metric)]


def test_average_of_the_last_is_the_mean(tmp_path):
    """Regression: a complex number lost its imaginary part; a dictionary of the task's "could run code"."""
    models = save(tmp_path, *(f"checkpoint{n}.pt" for n in (8, 9, 10)))
    save(tmp_path, "checkpoint_last.pt", "checkpoint_9_950.pt")
    out = tmp_path / "averaged.pt"
    result = call_here("average_checkpoints", tmp_path, out, "--count", "3")
    assert result.out.split() == ["averaged:", "checkpoint10.pt", "checkpoint9.pt", "checkpoint8.pt"]
    state = torch.load(out)
    assert state.keys() == {"model", "args", "cfg", "task_state"}
    tied = (state["model"][f"{side}.embed_tokens.weight"] for side in ("encoder", "decoder"))
    assert len({tensor.data_ptr() for tensor in tied}) == 1
    for name, tensor in state["model"].items():
        tensors = [model[name] for model in models]
        assert tensor.dtype == tensors[0].dtype
        exact = torch.stack([t.to(torch.promote_types(t.dtype, torch.float64)) for t in tensors])
        expected = exact[-1] if name == "decoder.version" else exact.mean(0)
        assert torch.equal(tensor, expected.to(tensor.dtype)), name


def test_average_by_updates_and_of_one(tmp_path):
    save(tmp_path, *(f"checkpoint_1_{update}.pt" for update in (90, 100, 110)))
    assert chosen(tmp_path) == ["checkpoint_1_110.pt", "checkpoint_1_100.pt"]
    (best,) = save(tmp_path, "checkpoint_best.pt")
    paths = choose(tmp_path, "best", 1)
    assert [path.name for path in paths] == ["checkpoint_best.pt"]
    assert torch.equal(average(paths)["model"]["decoder.bias"], best["decoder.bias"])


def test_the_best_by_a_loss_are_the_lowest(tmp_path):
    """Regression: the highest were taken, as of BLEU, which by a loss are the worst checkpoints.

    Figures are compared as numbers, not as text; fairseq writes a NaN as nan0.
    """
    figures = ("-1.5003", "nan0", "1e-05", "0.2000", "-0.2000", "inf1", "1.5e+01")
    save(tmp_path, *(f"checkpoint.best_loss_{figure}.pt" for figure in figures), metric="loss")
    names = chosen(tmp_path, "best", 4)
    assert names == [
        f"checkpoint.best_loss_{figure}.pt" for figure in ("-1.5003", "-0.2000", "1e-05", "0.2000")
    ]
    with pytest.raises(InputError, match="fewer than 6 checkpoints to average"):
        chosen(tmp_path, "best", 6)


def test_two_metrics_need_a_choice(tmp_path):
    """Regression: their files were sorted together: 31 BLEU and a perplexity of 31 were averaged."""
    for metric, figures in (("bleu", ("20.1000", "31.2000")), ("ppl", ("31.3000", "8.1000", "9.0000"))):
        save(tmp_path, *(f"checkpoint.best_{metric}_{figure}.pt" for figure in figures), metric=metric)
    with pytest.raises(InputError, match="the best checkpoints are by bleu and by ppl: choose one with"):
        chosen(tmp_path, "best")
    for metric, expected in (("bleu", ("31.2000", "20.1000")), ("ppl", ("8.1000", "9.0000"))):
        names = [f"checkpoint.best_{metric}_{figure}.pt" for figure in expected]
        assert chosen(tmp_path, "best", 2, metric) == names


@pytest.mark.parametrize(
    ("arguments", "state", "message"),  # the state is of run/checkpoint1.pt; None: cut short
    [
        ("run out.pt", None, "run/checkpoint1.pt: it is damaged, or no checkpoint of fairseq"),
        ("run out.pt", {"model": Runs()}, "it holds posix.system, which could run code"),
        ("run out.pt", {"model": {"w": "1, 2"}}, "is not a checkpoint of fairseq: it has no model"),
        ("run out.pt", {"model": {"w": torch.ones(3)}}, "run/checkpoint1.pt has other parameters"),
        ("run out.pt", weights(math.nan), "w has NaN in one of checkpoint2.pt, checkpoint1.pt"),
        ("run out.pt --count 3", weights(), "run has fewer than 3 checkpoints to average"),
        ("run link.pt", weights(), "link.pt is a name of fairseq's own checkpoints"),
        ("run out.pt --metric bleu", weights(), "--metric goes with --which best"),
        ("run out.pt --which best --metric ppl", weights(), "the best checkpoints are by bleu"),
        ("run out.pt --which best --metric bleu --count 1", weights(), "not saved as the best by bleu"),
        ("run /dev/full", weights(), "cannot write /dev/full: No space left on device"),
    ],
)
def test_refused(tmp_path, arguments, state, message):
    """Regression: torch answered a damaged one with its advice to let it run code; checkpoint_last.pt was
    overwritten by an average, without which no run resumes.
    """
    (tmp_path / "run").mkdir()
    for name in ("checkpoint1", "checkpoint2", "checkpoint_last", "checkpoint.best_bleu_30.0000"):
        torch.save(weights(), tmp_path / f"run/{name}.pt")
    (tmp_path / "link.pt").symlink_to("run/checkpoint_last.pt")
    first = tmp_path / "run/checkpoint1.pt"
    if state is None:
        os.truncate(first, 700)
    else:
        torch.save(state, first)
    assert_refused("average_checkpoints", ["--count", "2", *arguments.split()], message, tmp_path)


def test_a_checkpoint_whose_copy_was_cut_short_is_replaced(tmp_path):
    """Regression: after a kill while fairseq copied checkpoint_last.pt, no later run could resume from it."""
    names = ("checkpoint_best.pt", "checkpoint2.pt", "checkpoint_2_30.pt", "checkpoint1.pt")
    for age, name in enumerate(names):
        torch.save({"name": name}, tmp_path / name)
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    last = tmp_path / "checkpoint_last.pt"
    command = 'source "$1/common/lib.sh"; source "$1/common/training.sh"; check_last_checkpoint "$2"'
    for content, expected in ((None, "whole"), (slice(200), "checkpoint2.pt")):
        torch.save({"name": "whole"}, last)
        if content:
            last.write_bytes(last.read_bytes()[content])
        run("bash", "-euc", command, "-", SCRIPTS, tmp_path)
        assert torch.load(last) == {"name": expected}
