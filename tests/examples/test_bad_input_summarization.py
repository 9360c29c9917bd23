"""Bad input to examples/summarization/*.py: a table, a row a kind."""

import gzip
import json

import pytest
import torch
from bad_checkpoints import CUT, NO_CHECKPOINT, Runs, weights
from bad_input import assert_one_line, assert_refused, call_here, changed, contents
from small_corpora import tar_bytes, write_cnn_dm, write_gpt2_bpe, write_samsum, write_xsum

pytest.importorskip("fairseq")

CORPUS = "examples/summarization/read_corpus.py"
SUMMARIZE = "examples/summarization/summarize.py"
ARGUMENTS = "--out out --checkpoint model.pt --data data --bpe-dir bpe".split()

# ---- read_corpus.py

STORIES, XSUM = "dailymail_stories.tgz", "XSUM-EMNLP18-Summary-Data-Original.tar.gz"
XSUM_SPLIT = "XSum-TRAINING-DEV-TEST-SPLIT-90-5-5.json"
CORPORA = {"val.json": "samsum", "valid.summary.gz": "samsum", "all_val.txt": "cnn_dm", STORIES: "cnn_dm"}
ITEM = {"dialogue": "Ann: hi", "summary": "Ann greets."}
FOLDER = object()


def samsum(*items, encoding="utf-8"):
    return json.dumps(items).encode(encoding)


def gz(content):
    return gzip.compress(content, mtime=0)


def xsum_text(text):
    return tar_bytes({"bbc-summary-data/20000.summary": text.encode()})


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("val.json", b'[{"dialogue": "hi', "val.json is damaged (Unterminated string"),
        ("val.json", b"{}", "val.json has another structure than samsum's: no list"),
        ("val.json", samsum(ITEM, {}), "samsum's: item 2 has no 'dialogue' and"),
        ("val.json", samsum({**ITEM, "summary": "\ud800"}), "val, pair 1: the target is no"),
        ("val.json", b"[" * 100000, "val.json is damaged (maximum recursion depth"),
        ("val.json", b'["caf\xe9"]', "val.json is not UTF-8 at byte 5, line 1"),
        ("val.json", None, "cannot read samsum/val.json: No such file"),
        ("val.json", b"[]", "the corpus has no text for val"),
        ("valid.summary.gz", gz(b"one\n" * 11)[:-9], "valid.summary.gz is damaged"),
        ("valid.summary.gz", gz(b"1\n"), "valid.summary.gz do not have the same number of lines: 11 and 1"),
        ("all_val.txt", FOLDER, "cannot read cnn_dm/all_val.txt: Is a directory"),
        ("all_val.txt", b"http://web.example/none\n", "1 texts are not there, one of them 09a2"),
        (STORIES, b"no archive", f"{STORIES} is damaged"),
        (STORIES, tar_bytes({"a/b.story": b"caf\xe9"}), "a/b.story is not UTF-8 at byte 3"),
        (STORIES, tar_bytes({"a/b.story": "In no list"}), f"cnn_stories.tgz and {STORIES}: "),
        (XSUM, xsum_text("[SN]URL[SN]"), "20000.summary has no [SN]FIRST-SENTENCE[SN] and"),
        (XSUM_SPLIT, b'{"train": []}', "structure than xsum's: no list of names for validation"),
    ],
)
def test_corpora(tmp_path, file, content, message):
    """Regression: what had been read before a damaged part was left behind; some of these were tracebacks."""
    corpus = CORPORA.get(file, "xsum")
    folder = tmp_path / corpus
    folder.mkdir()
    {"cnn_dm": write_cnn_dm, "xsum": write_xsum, "samsum": write_samsum}[corpus](folder)
    if file == "val.json":
        for split in ("train", "val", "test"):
            (folder / f"{split}.json").write_bytes(samsum(ITEM))
    (folder / file).unlink()
    if content is FOLDER:
        (folder / file).mkdir()
    elif content is not None:
        (folder / file).write_bytes(content)
    assert_refused(CORPUS, [corpus, corpus, "out"], message, tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("wmt samsum out", "argument corpus: invalid choice: 'wmt'"),
    ],
)
def test_corpus_arguments(tmp_path, arguments, message):
    (tmp_path / "samsum").mkdir()
    write_samsum(tmp_path / "samsum")
    assert_refused(CORPUS, arguments.split(), message, tmp_path)


def test_a_failed_corpus_leaves_the_output_of_an_earlier_call(tmp_path):
    (tmp_path / "out").mkdir()
    write_samsum(tmp_path)
    assert call_here(CORPUS, "samsum", tmp_path, tmp_path / "out").code == 0
    before = contents(tmp_path / "out")
    assert len(before) == 6
    (tmp_path / "test.summary.gz").write_bytes(gz(b"one\n"))
    failed = call_here(CORPUS, "samsum", tmp_path, tmp_path / "out")
    assert_one_line(failed, "do not have the same number of lines")
    assert contents(tmp_path / "out") == before


# ---- summarize.py


@pytest.fixture(scope="module")
def summarize_files(tmp_path_factory):
    """A folder with all that summarize.py reads but a good model."""
    folder = tmp_path_factory.mktemp("summarize")
    for name in ("data", "bpe", "a:b", "no-dict", "bad-bpe"):
        (folder / name).mkdir()
    for name in ("bpe", "data", "a:b", "bad-bpe"):
        write_gpt2_bpe(folder / name)
    for name in ("data", "a:b"):
        for side in ("source", "target"):
            (folder / name / f"dict.{side}.txt").write_bytes((folder / "bpe" / "dict.txt").read_bytes())
    (folder / "bad-bpe" / "encoder.json").write_text("{")
    (folder / "text").write_text("One.\nTwo.\n")
    (folder / "latin1").write_bytes(b"caf\xe9\n")
    (folder / "empty").touch()
    (folder / "longer").write_text("1\n2\n3\n")
    (folder / "cut.pt").write_bytes(CUT)
    (folder / "text.pt").write_text("no checkpoint")
    torch.save({"model": Runs()}, folder / "code.pt")
    torch.save({"no": "model"}, folder / "other.pt")
    torch.save(weights(), folder / "model.pt")
    return folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("--chunk 0", "argument --chunk: must be at least 1, got 0"),
        ("--max-len-b 10", "--min-len 55 is more than --max-len-b 10"),
        ("text=empty", "empty is empty"),
        ("text=latin1", "latin1 is not UTF-8 at byte 3, line 1"),
        ("--out text", "text would be written over text"),
        ("--out longer", "longer has 3 lines, more than text (2): delete it"),
        ("--checkpoint cut.pt", f"cannot read cut.pt: {NO_CHECKPOINT}"),
        ("--checkpoint model.pt", "cannot load model.pt with data and bpe: "),
        ("--data no-dict", "cannot read no-dict/dict.source.txt: No such file"),
        ("--data a:b", "fairseq takes a colon for the end of a name, rename it"),
        ("--bpe-dir no-dict", "cannot read no-dict/encoder.json: No such file"),
        ("--bpe sentencepiece", "cannot read bpe/sentencepiece.model: No such file"),
    ],
)
def test_summarize(summarize_files, change, message):
    """Regression: a missing folder was told after the model had been loaded; the others were tracebacks."""
    source = "text"
    if change.startswith("text="):
        source, change = change.removeprefix("text="), ""
    assert_refused(SUMMARIZE, [source, *changed(ARGUMENTS, change.split())], message, summarize_files)
