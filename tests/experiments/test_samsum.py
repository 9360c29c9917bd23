"""Trainings on SAMSum as runs of the queue, on a small SAMSum; and the tables about them."""

import copy

import pytest
from conftest import a_core, scripts_environment
from small_corpora import write_samsum

from experiments.evidence import read_results
from experiments.experiment import Experiment, corpus_of
from experiments.runs import COLUMNS, read_runs
from experiments.samsum import SamSum
from experiments.samsum_table import NOTHING, measured_gains, samsum_table
from experiments.workspace import Place

pytest.importorskip("fairseq")

ROWS = (
    "samsum,plain,1,plain,,all,,4,,,best:1,",
    "samsum,rdrop,1,rdrop,5,all,,4,,plain,best:1,",
)


@pytest.fixture(scope="module")
def systems(tmp_path_factory):
    """The results of plain training and R-Drop, compared on the test set."""
    folder = tmp_path_factory.mktemp("queue")
    (folder / "runs.csv").write_text("".join(f"{line}\n" for line in (",".join(COLUMNS), *ROWS)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SamSum, "vocab", 90)
        settings = {"LOCAL_FILES": str(write_samsum(tmp_path_factory.mktemp("local"))), "WORKERS": "1"}
        settings |= {"MAX_TOKENS": "1", "SPLIT": "train"}  # not for the queue
        settings["NICE"] = "0"  # beside other tests it would wait for them
        for name, value in (scripts_environment() | settings).items():
            patch.setenv(name, value)
        listed = [Experiment(corpus_of(run, folder), folder) for run in read_runs(folder / "runs.csv")]
        plain, rdrop = listed
        plain.prepare()
        for each in listed:
            each.work(Place("cpu", a_core()))
            assert each.is_done()
            kept = folder / "translations" / f"{each.run.name}.test.txt"
            assert kept.read_text() == (each.corpus.out / "test.hyp").read_text()
            assert [path.name for path in each.corpus.out.rglob("*.pt")] == ["checkpoint_best.pt"]
        rdrop.compare(plain.run)
        compared = rdrop.result()
        (rdrop.corpus.out / "rouge-against-plain-1.json").unlink()
        rdrop.compare(plain.run)  # nothing that is done is done again
        assert rdrop.result() == compared
    return read_results(folder)


@pytest.fixture
def with_finish(systems):
    """And, made up, of one that begins with plain training."""
    (finish,) = copy.deepcopy(systems["rdrop"])
    finish |= {"system": "finish", "from": systems["plain"][0]}
    return systems | {"finish": [finish]}


def test_the_result_of_a_run(systems):
    (plain,), (rdrop,) = systems.values()
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
    test = rdrop["rouge"]["test"]
    assert test["baseline"] == plain["rouge"]["test"]["system"]
    assert test["difference"].keys() == {"rouge1", "rouge2", "rougeL", "rougeLsum"}


def test_a_run_that_begins_with_another_has_a_constant_rate(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("\n".join([",".join(COLUMNS), ROWS[0], "samsum,finish,1,rdrop,5,all,plain,2,,,no,", ""]))
    _, finish = read_runs(path)
    assert str(corpus_of(finish, tmp_path).train()) == (
        "CORPUS=samsum MODEL=transformer VOCAB=4000 CRITERION=rdrop ALPHA=5 MAX_UPDATE=2 SEED=1 "
        "examples/summarization/train.sh"
    )


def test_table(with_finish):
    text = samsum_table(with_finish)
    for name, updates, before in (("plain", 4, 0), ("rdrop", 4, 0), ("finish", 8, 4)):
        (result,) = with_finish[name]
        best = before + result["best_update"]
        assert f"| {name} | {updates} | {best} | {result['train_nll']:.2f} |" in text
        assert f"| {result['rouge']['val']['system']['rougeLsum']['f']:.2f} |\n" in text
    test = with_finish["rdrop"][0]["rouge"]["test"]
    score, difference = test["system"]["rouge1"], test["difference"]["rouge1"]
    assert f"| rdrop | {score['f']:.2f} [{score['f_95'][0]:.2f}, {score['f_95'][1]:.2f}] | " in text
    assert f"| minus plain | {difference['f']:+.2f} [" in text
    assert f"| p | {difference['p']:.3f} | " in text
    assert text.endswith(f"`{test['signature']}`")
    assert samsum_table({}) == NOTHING


def test_gains(with_finish):
    """Of what was trained from scratch and compared on the test set, beside the nll of plain training."""
    (plain,), (rdrop,), _ = with_finish.values()
    rouge = rdrop["rouge"]["test"]["difference"]["rouge1"]
    (nll,) = (point["nll"] for point in plain["curve"] if point["update"] == plain["best_update"])
    gain = f"{rouge['f']:+.2f} ROUGE-1 on the test set (p = {rouge['p']:.3f})"
    data, train_nll = "SAMSum from scratch, after 4 updates", f"{plain['train_nll']:.2f}"
    assert measured_gains(with_finish) == [(data, train_nll, f"{nll:.2f}", gain)]
    assert measured_gains({"plain": [plain]}) == []
