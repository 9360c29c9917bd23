"""Trainings on SAMSum as runs of the queue, on a small SAMSum; and the tables about them."""

from functools import partial

import pytest
from conftest import a_core, scripts_environment
from small_corpora import write_samsum

from experiments.evidence import read_results
from experiments.experiment import Experiment
from experiments.runs import COLUMNS, read_runs
from experiments.samsum import SamSum
from experiments.samsum_table import NOTHING, measured_gains, samsum_table
from experiments.scheduler import work_off
from experiments.workspace import Place, Workspace

pytest.importorskip("fairseq")

ROWS = (
    "samsum,plain,1,plain,,all,,4,,,best:1,",
    "samsum,rdrop,1,rdrop,5,all,,4,,plain,best:1,",
    "samsum,finish,1,rdrop,5,all,plain,2,,,no,",
)


@pytest.fixture(scope="module")
def systems(tmp_path_factory):
    """The results of plain training and R-Drop, compared on the test set, and of one after the other."""
    folder = tmp_path_factory.mktemp("queue")
    (folder / "runs.csv").write_text("".join(f"{line}\n" for line in (",".join(COLUMNS), *ROWS)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SamSum, "vocab", 90)
        settings = {"LOCAL_FILES": str(write_samsum(tmp_path_factory.mktemp("local"))), "WORKERS": "1"}
        settings |= {"MAX_TOKENS": "1", "SPLIT": "train"}  # not for the queue
        settings["NICE"] = "0"  # beside other tests it would wait for them
        for name, value in (scripts_environment() | settings).items():
            patch.setenv(name, value)
        experiment = Experiment(Workspace(folder), folder)
        plain, rdrop, finish = read_runs(folder / "runs.csv")
        experiment.prepare(plain)
        tasks = {run.name: partial(experiment.run, run) for run in (plain, rdrop, finish)}
        assert work_off(tasks, [Place("cpu", a_core())], folder) == []
        assert experiment.is_done(rdrop)
        experiment.compare(rdrop, plain)
        compared = (folder / "rdrop-1.json").read_text()
        experiment.compare(rdrop, plain)  # nothing that is done is done again
        assert (folder / "rdrop-1.json").read_text() == compared
        for run in (plain, rdrop):
            kept = folder / "translations" / f"{run.name}.test.txt"
            assert kept.read_text() == (folder / "runs" / run.name / "test.hyp").read_text()
            assert [p.name for p in (folder / "runs" / run.name).rglob("*.pt")] == ["checkpoint_best.pt"]
    return read_results(folder)


def test_the_result_of_a_run(systems):
    (plain,), (rdrop,), (finish,) = systems.values()
    settings = "CORPUS=samsum MODEL=transformer VOCAB=90 CRITERION=rdrop ALPHA=5 MAX_UPDATE=4 WARMUP=0 SEED=1"
    assert rdrop["command"] == [
        "BPE=sentencepiece VOCAB=90 examples/summarization/prepare-samsum.sh",
        f"{settings} examples/summarization/train.sh",
    ]
    assert rdrop["curve"][-1]["update"] == 4
    assert rdrop["best_update"] == min(rdrop["curve"], key=lambda point: point["loss"])["update"]
    assert rdrop["parameters"] > 100_000
    assert rdrop["rouge"]["val"]["signature"].startswith("rouge-score")
    assert plain["curve"] != rdrop["curve"]
    assert finish["command"][1] == (
        "FROM=plain-1 CORPUS=samsum MODEL=transformer VOCAB=90 CRITERION=rdrop ALPHA=5 MAX_UPDATE=2 SEED=1 "
        "examples/summarization/train.sh"
    )
    assert finish["curve"][-1]["update"] == 2
    assert finish["curve"][0]["nll"] < plain["curve"][0]["nll"]
    assert finish["from"] == plain
    test = rdrop["rouge"]["test"]
    scores = plain["rouge"]["test"]["system"]
    assert test["baseline"] == scores
    assert test["difference"].keys() == {"rouge1", "rouge2", "rougeL", "rougeLsum"}


def test_table(systems):
    text = samsum_table(systems)
    for name, updates, before in (("plain", 4, 0), ("rdrop", 4, 0), ("finish", 6, 4)):
        (result,) = systems[name]
        assert (
            f"| {name} | {updates} | {before + result['best_update']} | {result['train_nll']:.2f} |" in text
        )
        assert f"| {result['rouge']['val']['system']['rougeLsum']['f']:.2f} |\n" in text
    test = systems["rdrop"][0]["rouge"]["test"]
    score, difference = test["system"]["rouge1"], test["difference"]["rouge1"]
    assert f"| rdrop | {score['f']:.2f} [{score['f_95'][0]:.2f}, {score['f_95'][1]:.2f}] | " in text
    assert f"| minus plain | {difference['f']:+.2f} [" in text
    assert f"| p | {difference['p']:.3f} | " in text
    assert text.endswith(f"`{test['signature']}`")
    assert samsum_table({}) == NOTHING


def test_gains(systems):
    """Of what was compared on the test set only, beside the nll of plain training."""
    (plain,), (rdrop,), _ = systems.values()
    rouge = rdrop["rouge"]["test"]["difference"]["rouge1"]
    (nll,) = (point["nll"] for point in plain["curve"] if point["update"] == plain["best_update"])
    gain = f"{rouge['f']:+.2f} ROUGE-1 on the test set (p = {rouge['p']:.3f})"
    data, train_nll = "SAMSum from scratch, after 4 updates", f"{plain['train_nll']:.2f}"
    assert measured_gains(systems) == [(data, train_nll, f"{nll:.2f}", gain)]
    assert measured_gains({"plain": [plain]}) == []
