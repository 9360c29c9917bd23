"""translation/train.sh and evaluate.sh on a small Multi30k: plain training, and R-Drop that follows on it."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from conftest import files, lengthen_last_line, run
from shell_scripts import assert_fails
from translation_data import MULTI30K_SETTINGS, TINY, TRANSLATION, environment, translate, write_multi30k

pytest.importorskip("fairseq")

NAME = "multi30k.en-fr"
DECODED = {"SUBSET": "test3", "AVERAGE": "last:2", "DECODING": "--beam 2"}
FINISH = ("--lr", "0.003")


@pytest.fixture(scope="module")
def env(tmp_path_factory):
    folder = tmp_path_factory.mktemp("multi30k")
    local = write_multi30k(folder / "local")
    lengthen_last_line(*(local / f"{text}.gz" for text in ("train.fr", "val.fr", "test_2018_flickr.en")))
    env = {**environment(), **MULTI30K_SETTINGS, "LOCAL_FILES": str(local)}
    run(TRANSLATION / "prepare-multi30k.sh", "en-fr", **env, OUT=str(folder / "data"))
    return {**environment(), "DATA": str(folder / "data")}


def train(*flags, **env):
    return run(TRANSLATION / "train.sh", NAME, *TINY, *flags, **env)


@pytest.fixture(scope="module")
def plain(env, tmp_path_factory):
    """The folder of a plain training of two epochs, and what train.sh said of it."""
    out = tmp_path_factory.mktemp("trained") / "plain"
    return out, train(**env, CRITERION="plain", MAX_UPDATE="8", OUT=str(out)).stdout


@pytest.fixture(scope="module")
def finish(env, plain):
    """(folder, settings) of R-Drop as the finish of the plain training, resumed in its first epoch."""
    out = plain[0].parent / "finish"
    settings = {**env, "FROM": str(plain[0]), "AVERAGE": "last:2", "OUT": str(out)}
    for updates in ("3", "8"):
        train(*FINISH, **settings, MAX_UPDATE=updates)
    return out, {**settings, "MAX_UPDATE": "8"}


def averaged(folder):
    """{name: mean of a parameter in the two checkpoints of this training}"""
    first, second = (torch.load(folder / f"checkpoint{n}.pt")["model"] for n in (1, 2))
    return {name: (first[name] + second[name]) / 2 for name in first}


@pytest.mark.slow
def test_validation_takes_every_pair_that_the_model_takes(plain, finish):
    """Regression: a pair too long for the model ended the training in its first validation.

    Of the 11 pairs of valid that the model takes, fairseq's default, multiples of 8, saw 8.
    """
    for (folder, _), validations in ((plain, 2), (finish, 3)):
        log = (folder / "train.log").read_text()
        assert ("rdrop_kl_loss" in log) == (folder == finish[0])
        assert log.count("1 samples have invalid sizes and will be skipped") >= 2
        found = [line for line in log.splitlines() if "| valid | " in line]
        assert ["| bsz 11 |" in line for line in found] == [True] * validations  # they are one batch
        assert all((folder / f"checkpoint{n}.pt").exists() for n in (1, 2))


@pytest.mark.slow
def test_a_finish_begins_with_the_average_and_resumes(env, plain, finish):
    folder, out = plain[0], finish[0]
    # The advice of the plain training. Regression: without DATA it looked for another folder.
    assert f"DATA='{env['DATA']}' FROM='{folder}' '{TRANSLATION}/train.sh' {NAME}" in plain[1]
    torch.testing.assert_close(dict(torch.load(out / "start.pt")["model"]), averaged(folder))
    log = (out / "train.log").read_text()
    assert f"begins with {folder} (last:2)" in log
    assert " in every 2nd update" in log
    assert log.count(f"Loaded checkpoint {out}/start.pt (epoch 3 @ 0 updates)") == 1
    assert log.count(f"Loaded checkpoint {out}/checkpoint_last.pt (epoch 1 @ 3 updates)") == 1
    updates = [line for line in log.splitlines() if "| train_inner |" in line]
    assert [line.split("lr=")[1].split(",")[0] for line in updates if "num_updates=8" in line] == ["0.003"]


@pytest.mark.slow
def test_a_rerun_does_nothing_and_takes_no_other_settings(env, plain, finish):
    begun = {**env, "CRITERION": "plain", "MAX_UPDATE": "8", "OUT": str(plain[0])}
    before = files(plain[0])
    train(**begun)
    assert files(plain[0]) == before
    rerun = TRANSLATION / "train.sh", NAME, *TINY
    assert_fails(f"{plain[0]} was made with other settings (SEED=1)", *rerun, **{**begun, "SEED": "2"})
    changed = {**finish[1], "AVERAGE": "best:1"}
    assert_fails(f"{finish[0]} was made with other settings (AVERAGE=last:2)", *rerun, *FINISH, **changed)


@pytest.mark.slow
def test_what_a_finish_cannot_begin_with(env, plain, tmp_path):
    """Each in one line, before anything is made."""
    folder, _ = plain
    settings = {**env, "AVERAGE": "last:2", "OUT": str(tmp_path / "out")}

    def fails(message, *flags, **change):
        assert_fails(message, TRANSLATION / "train.sh", NAME, *TINY, *flags, **settings, **change)
        assert not (tmp_path / "out").exists()

    kept = (folder / "settings").read_text()
    (tmp_path / "settings").write_text(kept.replace("TGT=fr", "TGT=de"))
    fails("was made with TGT=de, not fr", FROM=str(tmp_path))
    (tmp_path / "settings").write_text(kept)
    fails("has no checkpoint_best.pt: train it first", FROM=str(tmp_path))
    fails(
        "is of another model (--encoder-ffn-embed-dim 32, not 64",
        "--encoder-ffn-embed-dim",
        "64",
        FROM=str(folder),
    )
    fails("--arch transformer, not transformer_tiny): give", "--arch", "transformer_tiny", FROM=str(folder))
    assert_fails("is OUT too", TRANSLATION / "train.sh", NAME, **env, FROM=str(folder), OUT=str(folder))
    fails("fairseq-train: error: unrecognized arguments: --foo", "--foo", FROM=str(folder))
    settings["DATA"] = str(shutil.copytree(env["DATA"], tmp_path / "data"))
    for lang in ("en", "fr"):
        with (tmp_path / "data" / "data-bin" / f"dict.{lang}.txt").open("a") as file:
            file.write("another 1\n")
    fails("is of another model (dictionary ", FROM=str(folder))


@pytest.fixture(scope="module")
def evaluated(env, plain, finish):
    """(folder, output) of an evaluation of R-Drop against plain training, in a folder with other files."""
    out = finish[0] / "evaluation.test3"
    (out / "part" / "left over").mkdir(parents=True)
    (out / "baseline").mkdir()
    (out / "settings").write_text("KIND=translation-evaluation\n")
    (out / "mine").write_text("mine")
    return out, run(TRANSLATION / "evaluate.sh", finish[0], plain[0], **env, **DECODED).stdout


@pytest.mark.slow
def test_evaluation_of_two_systems(finish, evaluated):
    out, said = evaluated
    assert [path.name for path in out.rglob("left*")] == []
    assert (out / "mine").read_text() == "mine"
    scores = json.loads((out / "scores.json").read_text())["scores"]
    names = ["BLEU, tokenised", *(f"{metric}, sacreBLEU" for metric in ("BLEU", "chrF2", "TER"))]
    assert [score["name"] for score in scores] == names
    for score in scores:
        assert 0 <= score["p_value"] <= 1
        assert score["signature"] in said
        assert f"{score['score']:6.2f}   {score['baseline']:8.2f}    {score['p_value']:.4f}" in said
    for name in ("system", "baseline"):
        hypotheses = (out / name / "hyp.txt").read_text().splitlines()
        assert [bool(line) for line in hypotheses] == [*[True] * 5, False]
        assert "beam=2" in (out / name / "generate.log").read_text().replace("'beam': 2", "beam=2")
    assert said.count("1 of 6 sentences are too long for the model: their lines are empty") == 2
    found = dict(torch.load(out / "system" / "averaged.pt")["model"])
    torch.testing.assert_close(found, averaged(finish[0]))
    assert not list(finish[0].glob("*.part"))


@pytest.mark.slow
def test_text_is_translated_as_the_test_set_is(env, finish, evaluated, tmp_path):
    """translate.sh, with Moses' tokens and BPE, gives text for text; a line that is too long is empty."""
    text = (Path(env["DATA"]) / "corpus" / "raw" / "test3.en").read_text()
    translated, errors = translate(tmp_path, text, finish[0], "--interactive", **env, **DECODED)
    assert translated == (evaluated[0] / "system" / "hyp.txt").read_text().splitlines()
    message = (
        "1 of 6 lines are longer than the 1024 pieces that the model takes: their translations are empty"
    )
    assert errors.splitlines()[-1] == message


@pytest.mark.slow
def test_bad_evaluations(env, plain, tmp_path):
    evaluate = TRANSLATION / "evaluate.sh", plain[0]
    assert_fails("is not the output of train.sh", evaluate[0], tmp_path, **env)
    assert_fails("fr is missing or empty", *evaluate, **env, SUBSET="test9")
    assert_fails("fewer than 9 checkpoints to average", *evaluate, **env, AVERAGE="last:9")
    (tmp_path / "settings").write_text("KIND=translation-training\nBENCHMARK=multi30k\nSRC=fr\nTGT=en\n")
    assert_fails("was made with SRC=fr, not en", *evaluate, tmp_path, **env)
