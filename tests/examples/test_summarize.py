"""examples/summarization/summarize.py on a shrunk BART, in the form of the published one."""

import tarfile
from pathlib import Path

import pytest
from bad_input import call_here, changed
from small_corpora import write_bart, write_gpt2_bpe

pytest.importorskip("fairseq")

TEXTS = ["The dog sees the house .", "A man\rpaints a hat .", "", "The cat finds a book . " * 20]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A folder with model.pt, the BPE, the dictionaries and TEXTS."""
    folder = write_bart(write_gpt2_bpe(tmp_path_factory.mktemp("bart")))
    with tarfile.open(folder / "bart.base.tar.gz") as archive:
        (folder / "model.pt").write_bytes(archive.extractfile("bart.base/model.pt").read())
    for side in ("source", "target"):
        (folder / f"dict.{side}.txt").write_bytes((folder / "dict.txt").read_bytes())
    (folder / "text").write_bytes("\n".join(TEXTS).encode())
    return folder


def summarize(model, out, *options, check=True):
    arguments = [model / "text", "--out", out, "--checkpoint", model / "model.pt", "--data", model]
    flags = changed("--beam 2 --max-len-b 8 --min-len 2 --max-tokens 40 --chunk 3 --cpu".split(), options)
    result = call_here("examples/summarization/summarize.py", *arguments, "--bpe-dir", model, *flags)
    assert not check or result.code == 0, result.err
    return result.err.splitlines()


def test_a_summary_a_line_and_a_count_of_what_was_cut(model, tmp_path):
    """Regression: "a\\rb" made two documents, and nobody was told that the last was read in part only."""
    log = summarize(model, tmp_path / "out")
    assert log[-3:] == ["3/4", "4/4", "1 of 4 documents were longer than 40 tokens and were cut"]
    whole = (tmp_path / "out").read_text(encoding="utf-8")
    assert whole.count("\n") == 4

    kept = whole.split("\n")[0] + "\n"
    (tmp_path / "killed").write_text(kept + "cut sho", encoding="utf-8")
    assert summarize(model, tmp_path / "killed", "--chunk", "1")[-4] == "2/4"
    assert (tmp_path / "killed").read_text(encoding="utf-8") == whole
    before = (tmp_path / "killed").stat().st_mtime_ns
    summarize(model, tmp_path / "killed")
    assert (tmp_path / "killed").stat().st_mtime_ns == before


def test_summaries_go_to_a_device(model):
    """Regression: a device was read first, without an end."""
    assert summarize(model, "/dev/null")[-2] == "4/4"
    assert Path("/dev/null").is_char_device()


def test_a_summary_cannot_be_longer_than_the_model_makes(model, tmp_path):
    """Regression: fairseq's AssertionError came as a traceback, and an empty file stayed."""
    lengths = ["--min-len", "1024", "--max-len-b", "2000"]
    error = "error: --min-len 1024 is more than the 1023 tokens that this model can make"
    assert summarize(model, tmp_path / "out", *lengths, check=False)[-1] == error
    assert not list(tmp_path.iterdir())
