"""examples/summarization/train.sh and evaluate.sh: BART from its weights, a transformer from scratch."""

import json
import re
from pathlib import Path

import pytest
from conftest import kill_when, run, scripts_environment
from own_corpora import write_jsonl
from shell_scripts import assert_fails
from small_corpora import EXAMPLES, SHRUNK, pairs, write_bart, write_cnn_dm, write_gpt2_bpe

from rdrop_tools.lines import read_pairs
from rdrop_tools.training.training_log import read_log

pytest.importorskip("fairseq")
pytestmark = pytest.mark.slow

BART = {"CORPUS": "cnn_dm", "MODEL": "bart.base", "MAX_UPDATE": "10", "UPDATE_TOKENS": "2048", "LR": "1e-2"}
BART["MAX_TOKENS"] = "1024"  # BART's positions: a document may be so long
SCRATCH = {"CORPUS": "mine", "MODEL": "transformer", "MAX_UPDATE": "8", "UPDATE_TOKENS": "1024"}
TINY = [*SHRUNK, "--max-source-positions", "20"]
SEARCH = {"BEAM": "2", "MAX_LEN": "12", "MIN_LEN": "2"}


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    files = write_bart(write_gpt2_bpe(write_cnn_dm(tmp_path_factory.mktemp("files"))))
    settings = {"MIN_FREE_MB": "1", "WORKERS": "1", "VOCAB": "90", "WARMUP": "4", "MAX_TOKENS": "512"}
    folders = {"LOCAL_FILES": str(files), "WEIGHTS": str(tmp_path_factory.mktemp("weights"))}
    return {**scripts_environment(), **settings, **folders}


@pytest.fixture(scope="module")
def bart_data(environment, tmp_path_factory):
    out = tmp_path_factory.mktemp("bart") / "data"
    run(EXAMPLES / "prepare-cnn_dm.sh", **environment, OUT=str(out))
    return {**environment, **BART, "DATA": str(out)}


@pytest.fixture(scope="module")
def bart(bart_data):
    """A run of BART with R-Drop: (environment, folder)."""
    run(EXAMPLES / "train.sh", *SHRUNK, **bart_data)
    return bart_data, Path(bart_data["DATA"]) / "bart.base-rdrop"


def test_bart_data_has_the_published_dictionary_and_decodes_to_the_text(bart_data):
    from fairseq.data import Dictionary, data_utils
    from fairseq.data.encoders.gpt2_bpe_utils import get_encoder

    data = Path(bart_data["DATA"])
    dictionary = Dictionary.load(str(data / "bin-gpt2" / "dict.target.txt"))
    assert dictionary.symbols == Dictionary.load(str(data / "gpt2_bpe" / "dict.txt")).symbols
    encoder = get_encoder(data / "gpt2_bpe" / "encoder.json", data / "gpt2_bpe" / "vocab.bpe")
    for side in ("source", "target"):
        path = data / "bin-gpt2" / f"test.source-target.{side}"
        texts = (dictionary.string(ids) for ids in data_utils.load_indexed_dataset(str(path), dictionary))
        decoded = [encoder.decode([int(token) for token in text.split()]) for text in texts]
        assert decoded == (data / "raw" / f"test.{side}").read_text(encoding="utf-8").split("\n")[:-1]


def curves(folder):
    """{name: {update: value}} of the training"""
    log = read_log(folder / "train.log")
    return {name: log["train_inner"].get(name) for name in ("loss", "nll_loss", "rdrop_kl_loss", "gnorm")}


def test_bart_starts_from_the_published_weights_and_logs_the_kl(bart):
    log = (bart[1] / "train.log").read_text()
    assert f"loading pretrained model from {bart[0]['WEIGHTS']}/bart.base/model.pt" in log
    assert "R-Drop: 2 passes, alpha 0.7, fused loss (decoder.output_projection)" in log
    assert "'find_unused_parameters': True" in log
    assert "'truncate_source': True" in log
    found = curves(bart[1])
    assert list(found["rdrop_kl_loss"]) == list(range(1, 11))
    assert min(found["rdrop_kl_loss"].values()) > 0
    assert found["loss"][10] < found["loss"][1]


def test_a_killed_bart_run_resumes_to_the_same_curve(bart, tmp_path):
    """A killed run goes on from its checkpoint, to the losses of a run that was not killed.

    With fairseq's --restore-file in place of --finetune-from-model it would start again from the weights.
    """
    env = {**bart[0], "OUT": str(tmp_path)}
    kill_when(tmp_path / "checkpoints" / "checkpoint_last.pt", EXAMPLES / "train.sh", *SHRUNK, **env)
    assert not (tmp_path / "trained").exists()
    run(EXAMPLES / "train.sh", *SHRUNK, **env)
    log = (tmp_path / "train.log").read_text()
    assert re.search(r"Loaded checkpoint \S*/checkpoint_last.pt .*\(epoch \d+ @ \d+ updates\)", log)
    assert log.count("loading pretrained model from") == 1
    assert curves(tmp_path) == curves(bart[1])


def test_bart_summarises_the_last_partial_batch_and_goes_on_after_a_kill(bart):
    env, folder = {**bart[0], **SEARCH}, bart[1]
    kill_when(folder / "test.lines", EXAMPLES / "evaluate.sh", **env)
    (folder / "test.lines").write_text("One.\nTwo.\nThree.\ncut sho", encoding="utf-8")
    assert "ROUGE-Lsum" in run(EXAMPLES / "evaluate.sh", **env).stdout
    lines = (folder / "test.hyp").read_text(encoding="utf-8").splitlines()
    assert (lines[:3], len(lines)) == (["One.", "Two.", "Three."], 7)
    assert not lines[3].startswith("cut sho")
    assert "n:7" in json.loads((folder / "rouge.json").read_text())["signature"].split("|")
    result = run(EXAMPLES / "evaluate.sh", check=False, **{**env, "BEAM": "3"})
    assert "was made with other settings (BEAM=2): choose another folder" in result.stdout


@pytest.fixture(scope="module")
def scratch(environment, tmp_path_factory):
    """The settings of a plain training on JSON lines without a test set, and what train.sh said of it.

    One summary of train and one of val are too long for the model, and so is a document of val.
    """
    mine = tmp_path_factory.mktemp("mine")
    long = " ".join(["a man sees the ball"] * 250)
    train, valid = pairs(96, seed=0), pairs(11, seed=1)
    train[-1], valid[-1] = (train[-1][0], long), (long, long)
    keys = ("dialogue", "summary")
    write_jsonl(mine / "train.jsonl", keys, train)
    write_jsonl(mine / "valid.jsonl", keys, valid)
    data = tmp_path_factory.mktemp("scratch") / 'it\'s my "data" [1]'
    command = [EXAMPLES / "prepare-text.sh", "mine", mine]
    columns = {"SRC_COLUMN": keys[0], "TGT_COLUMN": keys[1]}
    env = {**environment, **columns, "OUT": str(data), "BPE": "sentencepiece"}
    kill_when(data / "raw", *command, **env)
    run(*command, **env)
    for split, texts in (("train", train), ("val", valid)):
        assert list(read_pairs(*(data / "raw" / f"{split}.{side}" for side in ("source", "target")))) == texts
    settings = {**environment, **SCRATCH, "DATA": str(data)}
    return settings, run(EXAMPLES / "train.sh", *TINY, **settings, CRITERION="plain").stdout


def test_scratch_plain_and_rdrop_that_goes_on_from_it(scratch):
    """Regression: a summary too long for the model ended the training in its first validation."""
    env, said = scratch
    data = Path(env["DATA"])
    assert said.count("1 samples have invalid sizes and will be skipped, max_positions=(20, 256)") == 2
    assert "0 of 96 documents of train are longer than 256 tokens and are cut there" in said
    assert "R-Drop brought -1.09 ROUGE-1 on the test set" in said
    assert "] training: " in said
    assert "As the finish of a plain training it brought +1.34 ROUGE-1 on the test set" in said
    # Regression: the command to go on had no corpus and no model, and was BART's on CNN/DailyMail.
    assert "with R-Drop: CORPUS=mine MODEL=transformer BPE=sentencepiece VOCAB=90 " in said
    found = curves(data / "transformer-plain")
    assert list(found["loss"]) == list(range(1, 9))
    assert not found["rdrop_kl_loss"]
    plain = {**env, "CRITERION": "plain"}
    assert "] training: " not in run(EXAMPLES / "train.sh", *TINY, **plain).stdout
    changed = run(EXAMPLES / "train.sh", *TINY, check=False, **plain, ALPHA="5")
    assert "was made with other settings (ALPHA=0.3)" in changed.stdout
    run(EXAMPLES / "evaluate.sh", **plain, **SEARCH)
    said = (data / "transformer-plain" / "summarize.log").read_text()
    assert "of 11 documents were longer than 20 tokens and were cut" in said
    rouge = json.loads((data / "transformer-plain" / "rouge-val.json").read_text())
    assert "n:11" in rouge["signature"].split("|")

    finish = {**env, "FROM": str(data / "transformer-plain"), "MAX_UPDATE": "2"}
    said = run(EXAMPLES / "train.sh", *TINY, **finish).stdout
    out = data / "transformer-rdrop-finish"
    log = (out / "train.log").read_text()
    assert f"Loaded checkpoint {data}/transformer-plain/checkpoints/checkpoint_best.pt (epoch" in log
    assert re.findall(r"train_inner .*lr=([^,]*),", log) == ["0.001", "0.001"]
    assert "rdrop_kl_loss" in log
    assert "with R-Drop: " not in said
    compared = {**env, **SEARCH, "OUT": str(out), "BASELINE": str(data / "transformer-plain")}
    assert "difference" in run(EXAMPLES / "evaluate.sh", **compared).stdout
    result = json.loads((out / "rouge-against-transformer-plain-val.json").read_text())
    assert result.keys() == {"signature", "system", "baseline", "difference"}


def test_what_a_finish_cannot_begin_with(scratch, tmp_path):
    env, _ = scratch
    plain = str(Path(env["DATA"]) / "transformer-plain")
    settings = {**env, "OUT": str(tmp_path / "new"), "FROM": plain}
    command = EXAMPLES / "train.sh", *TINY
    message = "was made with ENCODING=sentencepiece90, not sentencepiece80"
    assert_fails(message, *command, **{**settings, "VOCAB": "80"})
    assert_fails("--activation-fn relu, not gelu", *command, "--activation-fn", "gelu", **settings)
    assert not (tmp_path / "new").exists()


def test_what_a_flag_replaces_takes_its_companions_with_it(scratch):
    flags = ("--lr-scheduler", "fixed", "-a", "lstm")
    printed = run(EXAMPLES / "train.sh", "--print", *flags, **scratch[0]).stdout
    assert printed.startswith("fairseq-train ")
    assert not [word for word in ("polynomial_decay", "--arch", "--encoder-layers") if word in printed]


def test_what_is_not_there_ends_with_one_line(bart_data, tmp_path):
    def fails(message, script="train.sh", **change):
        assert_fails(message, EXAMPLES / script, **{**bart_data, "OUT": str(tmp_path / "out"), **change})

    fails("run BPE=gpt2 prepare-cnn_dm.sh first", DATA=str(tmp_path))
    fails("UPDATE_TOKENS (100) is less than a batch of MAX_TOKENS (1024)", UPDATE_TOKENS="100")
    (tmp_path / "bart.base.tar.gz").write_bytes(b"no archive")
    broken = {"LOCAL_FILES": str(tmp_path), "WEIGHTS": str(tmp_path / "weights")}
    fails("bart.base.tar.gz is damaged or has no bart.base/model.pt", **broken)
    fails("checkpoint_best.pt is not there: run train.sh first", "evaluate.sh")
