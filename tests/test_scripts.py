"""The Python scripts on their own."""

import json
import os
import sys

import pytest
import torch
from conftest import SCRIPTS, run


def script(name, *arguments, check=True):
    return run(sys.executable, SCRIPTS / name, *arguments, check=check)


def page(folder, lang, body):
    path = folder / lang / "text" / "page.html"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"<html><body>{body}</body></html>", encoding="utf-8")


def test_libreoffice_corpus_joins_filters_and_deduplicates(tmp_path):
    from scripts.text.libreoffice_corpus import read_pairs

    long = "wort " * 101
    source = {
        "par_id1": "Das <b>ist</b> gut.",
        "hd_id2": "Ein neuer Absatz.",
        "par_id3": "Nur auf Deutsch da.",
        "par_id4": "Gleich in beiden.",
        "par_id5": "Zu kurz",
        "par_id6": "Dieser Satz ist sehr viel zu lang für das dort.",
        "par_id7": "Das ist doppelt.",
        "par_id8": long,
    }
    target = {
        "par_id1": "This  is\n<i>good</i>.",
        "hd_id2": "A new paragraph.",
        "par_id4": "Gleich in beiden.",
        "par_id5": "Too short",
        "par_id6": "Too long.",
        "par_id7": "This is good.",
        "par_id8": long.replace("wort", "word"),
    }
    for lang, texts in (("de", source), ("en-US", target)):
        page(tmp_path, lang, "".join(f'<p id="{key}">{text}</p>' for key, text in texts.items()))
    pairs = read_pairs(tmp_path / "de", tmp_path / "en-US")
    assert pairs == [("Das ist gut.", "This is good."), ("Ein neuer Absatz.", "A new paragraph.")]


def test_libreoffice_corpus_names_what_is_missing(tmp_path):
    result = script("text/libreoffice_corpus.py", tmp_path, tmp_path / "out", check=False)
    assert result.returncode == 1
    assert result.stdout.startswith("error: ")
    assert "de is not a folder of help pages" in result.stdout
    for lang in ("de", "en-US"):
        page(tmp_path, lang, f'<p id="par_id1">Only one pair, in {lang}.</p>')
    result = script("text/libreoffice_corpus.py", tmp_path, tmp_path / "out", check=False)
    assert result.returncode == 1
    assert "has 1 pairs, more than 2000 are needed" in result.stdout
    assert not (tmp_path / "out").exists()


TRAIN_LOGS = {
    "simple": """\
2026-01-01 | INFO | train_inner | epoch 001:     25 / 397 loss=11.8, rdrop_kl_loss=0.1, num_updates=25
2026-01-01 | INFO | train_inner | epoch 001:     50 / 397 loss=9.9, rdrop_kl_loss=0.03, num_updates=50
2026-01-01 | INFO | valid | epoch 001 | valid on 'valid' subset | loss 9.7 | bleu 0.5 | num_updates 50
2026-01-01 | INFO | train_inner | epoch 001:     50 / 397 loss=9.8, rdrop_kl_loss=3e-02, num_updates=50
""",
    "json": """\
2026-01-01 | INFO | train_inner | {"loss": "11.8", "rdrop_kl_loss": "0.1", "num_updates": "25"}
2026-01-01 | INFO | train_inner | {"loss": "9.8", "rdrop_kl_loss": "0.03", "num_updates": "50"}
2026-01-01 | INFO | valid | {"epoch": 1, "valid_loss": "9.7", "valid_bleu": "0.5", "valid_num_updates": "50"}
""",
}


@pytest.mark.parametrize("log_format", TRAIN_LOGS)
def test_plot_training_reads_both_formats(tmp_path, log_format):
    from scripts.training.plot_training import read_log

    log = tmp_path / "train.log"
    log.write_text(TRAIN_LOGS[log_format])
    curves = read_log(log)
    assert curves["train_inner"]["loss"] == {25: 11.8, 50: 9.8}
    assert curves["train_inner"]["rdrop_kl_loss"] == {25: 0.1, 50: 0.03}
    assert curves["valid"]["bleu"] == {50: 0.5}
    script("training/plot_training.py", log, "-o", tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_plot_training_x_axis(tmp_path):
    """A validation between two lines of training is placed between them, by epoch and by wall-clock."""
    from scripts.training.plot_training import read_log, x_axis

    log = tmp_path / "train.log"
    simple = "2026-01-01 | INFO | train_inner | epoch 002:     {0} / 100 loss=9, num_updates={1}, wall={2}\n"
    valid = "2026-01-01 | INFO | valid | epoch 002 | valid on 'valid' subset | loss 9.7 | num_updates 125\n"
    as_json = '| INFO | train_inner | {{"epoch": 2, "update": {0}, "num_updates": "{1}", "wall": "{2}"}}\n'
    hydra = simple.replace("2026-01-01 | INFO | train_inner | ", "[2026-01-01][train_inner][INFO] - ")
    for text in (
        simple.format(20, 120, 3600) + valid + simple.format(30, 130, 7200),
        as_json.format(1.2, 120, 3600) + as_json.format(1.3, 130, 7200),
        hydra.format(20, 120, 3600) + hydra.format(30, 130, 7200),
    ):
        log.write_text(text)
        curves = read_log(log)
        assert [x_axis(curves, x)(120) for x in ("update", "epoch", "time")] == [120, 1.2, 1]
        assert [x_axis(curves, x)(125) for x in ("update", "epoch", "time")] == [125, 1.25, 1.5]
        assert x_axis(curves, "epoch")(140) == 1.3


def test_plot_training_adds_the_wall_clock_of_a_resumed_run(tmp_path):
    from scripts.training.plot_training import read_log

    log = tmp_path / "train.log"
    line = "| INFO | train_inner | epoch 001:     1 / 9 loss=9, num_updates={0}, wall={1}\n"
    log.write_text("".join(line.format(*pair) for pair in ((10, 50), (20, 100), (20, 7), (30, 60))))
    assert read_log(log)["train_inner"]["wall"] == {10: 50, 20: 107, 30: 160}


def test_plot_training_of_several_runs(tmp_path):
    logs = [tmp_path / name / "train.log" for name in TRAIN_LOGS]
    for log, text in zip(logs, TRAIN_LOGS.values(), strict=True):
        log.parent.mkdir()
        log.write_text(text)
    script("training/plot_training.py", *logs, "-o", tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    result = script("training/plot_training.py", *logs, "--x", "time", check=False)
    assert result.returncode == 1
    assert "no log line has what --x time needs" in result.stdout


def test_plot_training_names_a_log_that_is_none(tmp_path):
    (tmp_path / "empty.log").write_text("nothing\n")
    for name, message in (("empty.log", "has no train_inner lines"), ("absent.log", "is not a file")):
        result = script("training/plot_training.py", tmp_path / name, check=False)
        assert result.returncode == 1
        assert message in result.stdout


def test_a_checkpoint_whose_copy_was_cut_short_is_replaced(tmp_path):
    """Killed while fairseq copied checkpoint_last.pt, no later run could resume from it."""
    for age, name in enumerate(
        ("checkpoint_best.pt", "checkpoint2.pt", "checkpoint_2_30.pt", "checkpoint1.pt")
    ):
        torch.save({"name": name}, tmp_path / name)
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    last = tmp_path / "checkpoint_last.pt"
    command = 'source "$1/common/lib.sh"; check_last_checkpoint "$2"'
    for content, expected in ((None, "whole"), (slice(200), "checkpoint2.pt")):
        torch.save({"name": "whole"}, last)
        if content:
            last.write_bytes(last.read_bytes()[content])
        run("bash", "-euc", command, "-", SCRIPTS, tmp_path)
        assert torch.load(last) == {"name": expected}


def test_classification_example(tmp_path):
    """Three systems, two seeds; training helps, and a rerun gives the same numbers."""
    example = SCRIPTS.parent / "examples" / "classification" / "train_digits.py"
    for name in ("a.json", "b.json"):
        options = ["--seeds", "2", "--epochs", "20", "--out", tmp_path / name]
        table = run(sys.executable, example, *options).stdout
    assert "R-Drop, alpha 3 " in table
    first, second = (json.loads((tmp_path / name).read_text())["systems"] for name in ("a.json", "b.json"))
    assert [len(system["test"]) for system in first] == [2, 2, 2]
    assert all(accuracy > 70 for system in first for accuracy in system["test"])
    assert [system["test"] for system in first] == [system["test"] for system in second]
