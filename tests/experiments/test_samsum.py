"""A training on SAMSum as a run of the queue, on a small SAMSum; and the tables about such results."""

import json

import pytest
from conftest import a_core, scripts_environment
from small_corpora import write_samsum

from experiments.evidence import read_results
from experiments.experiment import Experiment, corpus_of
from experiments.runs import COLUMNS, read_runs
from experiments.samsum import SamSum
from experiments.samsum_table import measured_gains, samsum_table
from experiments.workspace import Place

pytest.importorskip("fairseq")

ROWS = (
    "samsum,plain,1,plain,,all,,4,,,best:1,",
    "samsum,rdrop,1,rdrop,5,all,,4,,plain,best:1,",
    "samsum,finish,1,rdrop,5,all,plain,2,,,no,",
)


@pytest.fixture(scope="module")
def systems(tmp_path_factory):
    """The results of R-Drop; and, made of these, of plain training and of one that begins with it.

    What plain training has made of the test set are the references.
    """
    folder = tmp_path_factory.mktemp("queue")
    (folder / "runs.csv").write_text("\n".join([",".join(COLUMNS), *ROWS, ""]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SamSum, "vocab", 90)
        settings = {"LOCAL_FILES": str(write_samsum(tmp_path_factory.mktemp("local"))), "WORKERS": "1"}
        settings |= {"MAX_TOKENS": "1", "SPLIT": "train"}  # not for the queue
        settings["NICE"] = "0"  # beside other tests it would wait for them
        for name, value in (scripts_environment() | settings).items():
            patch.setenv(name, value)
        plain, run, finish = read_runs(folder / "runs.csv")
        rdrop = Experiment(corpus_of(run, folder), folder)
        rdrop.prepare()
        rdrop.work(Place("cpu", a_core()))
        assert rdrop.is_done()
        kept = folder / "translations" / "rdrop-1.test.txt"
        assert kept.read_text() == (rdrop.corpus.out / "test.hyp").read_text()
        assert [path.name for path in rdrop.corpus.out.rglob("*.pt")] == ["checkpoint_best.pt"]
        theirs = rdrop.result()
        for each in (plain, finish):
            theirs |= {"train_nll": theirs["train_nll"] + 1}
            (folder / f"{each.name}.json").write_text(json.dumps(theirs))
        (folder / "runs" / "plain-1").mkdir()
        references = (folder / "data-samsum" / "raw" / "test.target").read_text()
        (folder / "runs" / "plain-1" / "test.hyp").write_text(references)
        rdrop.compare(plain)
        compared = rdrop.result()
        (rdrop.corpus.out / "rouge-against-plain-1.json").unlink()
        rdrop.compare(plain)  # nothing that is done is done again
        assert rdrop.result() == compared
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
    test = rdrop["rouge"]["test"]
    assert test["system"] == plain["rouge"]["test"]["system"]
    assert test["baseline"]["rouge1"]["f"] == 100
    assert test["difference"].keys() == {"rouge1", "rouge2", "rougeL", "rougeLsum"}
    assert finish["from"] == plain


def test_a_run_that_begins_with_another_has_a_constant_rate(tmp_path):
    (tmp_path / "runs.csv").write_text("\n".join([",".join(COLUMNS), *ROWS, ""]))
    _, _, finish = read_runs(tmp_path / "runs.csv")
    assert str(corpus_of(finish, tmp_path).train()) == (
        "CORPUS=samsum MODEL=transformer VOCAB=4000 CRITERION=rdrop ALPHA=5 MAX_UPDATE=2 SEED=1 "
        "examples/summarization/train.sh"
    )


def test_tables(systems):
    """Updates count from the first training on; a gain is of what was trained from scratch and compared.

    Its nll is that of plain training. How a row looks otherwise, the committed tables hold.
    """
    (plain,), (rdrop,), (finish,) = systems.values()
    text = samsum_table(systems)
    for name, updates, before, result in (("plain", 4, 0, plain), ("finish", 8, 4, finish)):
        best = before + result["best_update"]
        assert f"| {name} | {updates} | {best} | {result['train_nll']:.2f} |" in text
    difference = rdrop["rouge"]["test"]["difference"]["rouge1"]
    assert f"| minus plain | {difference['f']:+.2f} [" in text
    (nll,) = (point["nll"] for point in plain["curve"] if point["update"] == plain["best_update"])
    gain = f"{difference['f']:+.2f} ROUGE-1 on the test set (p = {difference['p']:.3f})"
    data, train_nll = "SAMSum from scratch, after 4 updates", f"{plain['train_nll']:.2f}"
    compared = finish | {"rouge": rdrop["rouge"], "baseline": "plain"}
    assert measured_gains(systems | {"finish": [compared]}) == [[data, train_nll, f"{nll:.2f}", gain]]
    ((data, *_, its_gain),) = measured_gains(systems | {"finish": [compared]}, is_finish=True)
    assert (data, its_gain) == ("SAMSum from scratch, after 8 updates", gain)
    control = compared | {"criterion": "plain"}
    assert measured_gains(systems | {"finish": [control]}, is_finish=True) == []
    assert measured_gains({"plain": [plain]}) == []
