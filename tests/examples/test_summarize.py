"""examples/summarization/summarize.py on a shrunk BART, in the form of the published one."""

import shutil
import tarfile
from pathlib import Path

import pytest
import torch
from bad_checkpoints import Runs, weights
from bad_input import assert_refused, call_here, changed
from small_corpora import write_bart, write_gpt2_bpe

pytest.importorskip("fairseq")

SUMMARIZE = "examples/summarization/summarize.py"
TEXTS = ["The dog sees the house .", "A man\rpaints a hat .", "", "The cat finds a book . " * 20]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """All that summarize.py reads, in ``a:b`` too, and what it refuses."""
    folder = tmp_path_factory.mktemp("summarize")
    data = folder / "data"
    data.mkdir()
    write_bart(write_gpt2_bpe(data))
    with tarfile.open(data / "bart.base.tar.gz") as archive:
        (folder / "model.pt").write_bytes(archive.extractfile("bart.base/model.pt").read())
    for side in ("source", "target"):
        shutil.copy(data / "dict.txt", data / f"dict.{side}.txt")
    shutil.copytree(data, folder / "a:b")
    (folder / "none").mkdir()
    (folder / "text").write_bytes("\n".join(TEXTS).encode())
    (folder / "empty").touch()
    (folder / "longer").write_text("1\n2\n3\n4\n5\n")
    torch.save({"model": Runs()}, folder / "code.pt")
    torch.save({"args": None}, folder / "bare.pt")
    torch.save(weights(), folder / "other.pt")
    return folder


def summarize(folder, out, *options):
    arguments = ["--out", out, "--checkpoint", folder / "model.pt", "--data", folder / "data"]
    flags = changed("--beam 2 --max-len-b 8 --min-len 2 --max-tokens 40 --chunk 3 --cpu".split(), options)
    result = call_here(SUMMARIZE, folder / "text", *arguments, "--bpe-dir", folder / "data", *flags)
    assert result.code == 0, result.err
    return result.err.splitlines()


def test_a_summary_a_line_and_a_count_of_what_was_cut(folder, tmp_path):
    """Regression: "a\\rb" made two documents, and nobody was told that the last was read in part only."""
    log = summarize(folder, tmp_path / "out")
    assert log[-3:] == ["3/4", "4/4", "1 of 4 documents were longer than 40 tokens and were cut"]
    whole = (tmp_path / "out").read_text(encoding="utf-8")
    assert whole.count("\n") == 4

    kept = whole.split("\n")[0] + "\n"
    (tmp_path / "killed").write_text(kept + "cut sho", encoding="utf-8")
    assert summarize(folder, tmp_path / "killed", "--chunk", "1")[-4] == "2/4"
    assert (tmp_path / "killed").read_text(encoding="utf-8") == whole
    before = (tmp_path / "killed").stat().st_mtime_ns
    summarize(folder, tmp_path / "killed")
    assert (tmp_path / "killed").stat().st_mtime_ns == before


def test_summaries_go_to_a_device(folder):
    """Regression: a device was read first, without an end."""
    assert summarize(folder, "/dev/null")[-2] == "4/4"
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("--max-len-b 10", "--min-len 55 is more than --max-len-b 10"),
        ("--min-len 1024 --max-len-b 2000", "--min-len 1024 is more than the 1023 tokens that this model"),
        ("text=empty", "empty is empty"),
        ("--out text", "text would be written over text"),
        ("--out longer", "longer has 5 lines, more than text (4): delete it"),
        ("--checkpoint code.pt", "cannot read code.pt: it holds posix.system, which could run code"),
        ("--checkpoint bare.pt", "bare.pt is not a checkpoint of fairseq: it has no model"),
        ("--checkpoint other.pt", "cannot load other.pt with data and data: "),
        ("--data none", "cannot read none/dict.source.txt: No such file"),
        ("--data a:b", "fairseq takes a colon for the end of a name, rename it"),
        ("--bpe sentencepiece", "cannot read data/sentencepiece.model: No such file"),
    ],
)
def test_what_is_refused(folder, change, message):
    """Regression: a missing folder was told after the model had been loaded; the others were tracebacks."""
    source = "text"
    if change.startswith("text="):
        source, change = change.removeprefix("text="), ""
    arguments = "--out out --checkpoint model.pt --data data --bpe-dir data".split()
    assert_refused(SUMMARIZE, [source, *changed(arguments, change.split())], message, folder)
