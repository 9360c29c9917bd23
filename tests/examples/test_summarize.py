"""examples/summarization/summarize.py on a shrunk BART, in the form of the published one."""

import shutil
import tarfile

import pytest
import torch
from bad_checkpoints import weights
from bad_input import assert_refused, call_here, changed
from small_corpora import write_bart, write_gpt2_bpe

pytest.importorskip("fairseq")

SUMMARIZE = "examples/summarization/summarize.py"
TEXTS = ["The dog sees the house .", "A man\rpaints a hat .", "", "The cat finds a book . " * 20]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """All that summarize.py reads."""
    folder = tmp_path_factory.mktemp("summarize")
    write_bart(write_gpt2_bpe(folder))
    with tarfile.open(folder / "bart.base.tar.gz") as archive:
        (folder / "model.pt").write_bytes(archive.extractfile("bart.base/model.pt").read())
    for side in ("source", "target"):
        shutil.copy(folder / "dict.txt", folder / f"dict.{side}.txt")
    (folder / "text").write_bytes("\n".join(TEXTS).encode())
    torch.save(weights(), folder / "other.pt")
    return folder


def summarize(folder, out, *options):
    arguments = ["--out", out, "--checkpoint", folder / "model.pt", "--data", folder, "--bpe-dir", folder]
    flags = changed("--beam 2 --max-len-b 8 --min-len 2 --max-tokens 40 --chunk 3".split(), options)
    result = call_here(SUMMARIZE, folder / "text", *arguments, *flags)
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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("--checkpoint other.pt", "cannot load other.pt with . and .: "),
        ("--bpe sentencepiece", "cannot read sentencepiece.model: No such file"),
    ],
)
def test_what_is_refused(folder, change, message):
    arguments = "text --out out --checkpoint model.pt --data . --bpe-dir .".split()
    assert_refused(SUMMARIZE, changed(arguments, change.split()), message, folder)
