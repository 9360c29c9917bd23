"""Bad input to examples/summarization/*.py: a table, a row a kind."""

import gzip
import json

import pytest
import torch
from bad_checkpoints import CUT, NO_CHECKPOINT, NO_MODEL, Runs, weights
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
        ("val.json", b"", "val.json is damaged (Expecting value"),
        ("val.json", b"{}", "val.json has another structure than samsum's: no list"),
        ("val.json", b"[1]", "structure than samsum's: item 1 has no 'dialogue' and 'summary'"),
        ("val.json", samsum(ITEM, {}), "samsum's: item 2 has no 'dialogue' and"),
        ("val.json", samsum({**ITEM, "summary": 5}), "samsum's: item 1 has no"),
        ("val.json", samsum({**ITEM, "summary": None}), "samsum's: item 1 has no"),
        ("val.json", samsum({**ITEM, "summary": "\ud800"}), "val, pair 1: the target is no"),
        ("val.json", samsum({**ITEM, "dialogue": "a\udc00"}), "val, pair 1: the source is"),
        ("val.json", b"[" * 100000, "val.json is damaged (maximum recursion depth"),
        ("val.json", b'["caf\xe9"]', "val.json is not UTF-8 at byte 5, line 1"),
        ("val.json", samsum(ITEM, encoding="utf-16"), "val.json is not UTF-8 at byte 0, line 1"),
        ("val.json", FOLDER, "cannot read samsum/val.json: Is a directory"),
        ("val.json", None, "cannot read samsum/val.json: No such file"),
        ("val.json", b"[]", "the corpus has no text for val"),
        ("valid.summary.gz", gz(b"one\n" * 11)[:-9], "valid.summary.gz is damaged"),
        ("valid.summary.gz", b"no gzip file", "valid.summary.gz is damaged"),
        ("valid.summary.gz", gz(b"caf\xe9\n"), "valid.summary.gz is not UTF-8 at byte 3, line 1"),
        ("valid.summary.gz", gz(b"1\n"), "valid.summary.gz do not have the same number of lines: 11 and 1"),
        ("valid.summary.gz", gz(b"\n" * 11), "the corpus has no text for val"),
        ("all_val.txt", FOLDER, "cannot read cnn_dm/all_val.txt: Is a directory"),
        ("all_val.txt", None, "cannot read cnn_dm/all_val.txt: No such file"),
        ("all_val.txt", b"http://caf\xe9/\n", "all_val.txt is not UTF-8 at byte 10, line 1"),
        ("all_val.txt", b"http://web.example/none\n", "1 texts are not there, one of them 09a2"),
        ("all_val.txt", b"\n \n", "the corpus has no text for val"),
        (STORIES, b"no archive", f"{STORIES} is damaged"),
        (STORIES, b"", f"{STORIES} is damaged"),
        (STORIES, gz(b"no archive"), f"{STORIES} is damaged"),
        (STORIES, tar_bytes({"a/b.story": "One line"})[:60], f"{STORIES} is damaged"),
        (STORIES, FOLDER, f"cannot read cnn_dm/{STORIES}: Is a directory"),
        (STORIES, None, f"cannot read cnn_dm/{STORIES}: No such file"),
        (STORIES, tar_bytes({"a/b.story": b"caf\xe9"}), "a/b.story is not UTF-8 at byte 3"),
        (STORIES, tar_bytes({"a/b.story": "In no list"}), f"cnn_stories.tgz and {STORIES}: "),
        (XSUM, xsum_text("[SN]URL[SN]"), "20000.summary has no [SN]FIRST-SENTENCE[SN] and"),
        (XSUM, xsum_text("[SN]TITLE[SN]b[SN]FIRST-SENTENCE[SN]c[SN]RESTBODY"), "20000.summary has no"),
        (XSUM_SPLIT, b'{"train": []}', "structure than xsum's: no list of names for validation"),
        (XSUM_SPLIT, b'{"train": "abc"}', "structure than xsum's: no list of names for train"),
        (XSUM_SPLIT, b'{"train": [[1]]}', "structure than xsum's: no list of names for train"),
        (XSUM_SPLIT, b"[1]", "another structure than xsum's: no list of names for train"),
        (XSUM_SPLIT, b"nothing", "is damaged (Expecting value"),
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
        ("samsum absent out", "argument folder: absent is not a folder"),
        ("samsum samsum/train.dialogue.gz out", "is not a folder"),
        ("samsum samsum samsum/train.dialogue.gz", "cannot write in samsum/train.dialogue.gz"),
        ("samsum samsum samsum/train.dialogue.gz/out", "samsum/train.dialogue.gz"),
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
        ("--beam 0", "argument --beam: must be at least 1, got 0"),
        ("--beam x", "argument --beam: must be an integer, got 'x'"),
        ("--lenpen nan", "argument --lenpen: must be a number of at least 0, got 'nan'"),
        ("--max-len-b 0", "argument --max-len-b: must be at least 1, got 0"),
        ("--min-len 0", "argument --min-len: must be at least 1, got 0"),
        ("--max-len-b 10", "--min-len 55 is more than --max-len-b 10"),
        ("--no-repeat-ngram-size -1", "argument --no-repeat-ngram-size: must be at least 0, got -1"),
        ("--max-tokens 0", "argument --max-tokens: must be at least 2, got 0"),
        ("text=absent", "argument source: cannot read absent: No such file"),
        ("text=data", "argument source: cannot read data: Is a directory"),
        ("text=empty", "empty is empty"),
        ("text=latin1", "latin1 is not UTF-8 at byte 3, line 1"),
        ("--out data", "argument --out: cannot write data: Is a directory"),
        ("--out absent/out", "argument --out: cannot write absent/out"),
        ("--out text", "text would be written over text"),
        ("--out model.pt", "model.pt would be written over model.pt"),
        ("--out longer", "longer has 3 lines, more than text (2): delete it"),
        ("--checkpoint absent.pt", "argument --checkpoint: cannot read absent.pt: No such file"),
        ("--checkpoint data", "argument --checkpoint: cannot read data: Is a directory"),
        ("--checkpoint cut.pt", f"cannot read cut.pt: {NO_CHECKPOINT}"),
        ("--checkpoint text.pt", f"cannot read text.pt: {NO_CHECKPOINT}"),
        ("--checkpoint code.pt", "cannot read code.pt: it holds posix.system, which could run code"),
        ("--checkpoint other.pt", f"other.pt {NO_MODEL}"),
        ("--checkpoint model.pt", "cannot load model.pt with data and bpe: "),
        ("--data absent", "argument --data: absent is not a folder"),
        ("--data no-dict", "cannot read no-dict/dict.source.txt: No such file"),
        ("--data a:b", "fairseq takes a colon for the end of a name, rename it"),
        ("--bpe-dir absent", "argument --bpe-dir: absent is not a folder"),
        ("--bpe-dir no-dict", "cannot read no-dict/encoder.json: No such file"),
        ("--bpe sentencepiece", "cannot read bpe/sentencepiece.model: No such file"),
        ("--bpe-dir bad-bpe", "cannot load model.pt with data and bad-bpe: "),
        ("--bpe words", "invalid choice: 'words'"),
    ],
)
def test_summarize(summarize_files, change, message):
    """Regression: a missing folder was told after the model had been loaded; the others were tracebacks."""
    source = "text"
    if change.startswith("text="):
        source, change = change.removeprefix("text="), ""
    assert_refused(SUMMARIZE, [source, *changed(ARGUMENTS, change.split())], message, summarize_files)
