"""summarization/prepare-*.sh and read_corpus.py: small corpora in the real ones' form, and bad ones."""

import gzip
import json
import shutil
from importlib.util import find_spec

import pytest
import small_corpora
from bad_input import assert_one_line, assert_refused, call_here, contents
from conftest import files, run, scripts_environment
from own_corpora import write_jsonl
from shell_scripts import assert_fails
from small_corpora import (
    EXAMPLES,
    SIZES,
    write_cnn_dm,
    write_samsum,
    write_script,
    write_tar,
    write_xsum,
)

from examples.summarization import read_corpus
from rdrop_tools.lines import read_pairs

pytest.importorskip("fairseq")

READ_CORPUS = "examples/summarization/read_corpus.py"


@pytest.fixture(scope="module")
def environment():
    settings = {"MIN_FREE_MB": "1", "WORKERS": "1", "BPE": "sentencepiece", "VOCAB": "90"}
    return {**scripts_environment(), **settings}


def prepare(corpus, env, out, check=True, **change):
    return run(EXAMPLES / f"prepare-{corpus}.sh", check=check, **{**env, "OUT": str(out), **change})


def lines(folder):
    """{split: [(source, target)]}"""
    splits = ("train", "val", "test")
    return {
        split: list(read_pairs(folder / f"{split}.source", folder / f"{split}.target")) for split in splits
    }


def read(corpus, folder):
    """The corpus as read_corpus.py writes it."""
    read_corpus.write(getattr(read_corpus, f"read_{corpus}")(folder), folder / "raw")
    return lines(folder / "raw")


def test_samsum_interrupted_resumed_and_done(environment, tmp_path):
    """A rerun keeps what is complete, makes again what is not, and does nothing when all is done."""
    data = write_samsum(tmp_path)
    out = tmp_path / "out"
    (out / "raw.part").mkdir(parents=True)
    (out / "settings").write_text("KIND=summarization-data\nCORPUS=samsum\n")
    (out / "raw.part" / "train.source").write_text("cut sho")
    result = prepare("samsum", environment, out, LOCAL_FILES=str(data))
    assert "train: 96 pairs, 0 with an empty side left out" in result.stdout
    assert not list(out.rglob("*.part"))
    assert [len(pairs) for pairs in lines(out / "raw").values()] == list(SIZES.values())
    assert lines(out / "raw")["test"] == small_corpora.pairs(13, seed=2)
    (out / "bin-sentencepiece90").rename(out / "bin-sentencepiece90.part")
    kept = files(out / "raw") | files(out / "pieces-sentencepiece90")
    prepare("samsum", environment, out, LOCAL_FILES=str(data))
    before = files(out)
    assert {path: before[path] for path in kept} == kept
    prepare("samsum", environment, out, LOCAL_FILES="/not/there")
    assert files(out) == before


def test_cnn_dm_stories(tmp_path):
    found = read("cnn_dm", write_cnn_dm(tmp_path))
    assert [len(pairs) for pairs in found.values()] == [39, 6, 7]  # one has no text
    for split, seed in (("val", 1), ("test", 2)):
        expected = [
            (article.replace(" . ", ". "), f"{highlight.removesuffix(' .')}. It is over.")
            for article, highlight in small_corpora.pairs(len(found[split]), seed)
        ]
        assert sorted(found[split]) == sorted(expected)  # the order is that of the archives


def test_xsum_articles(environment, tmp_path):
    """They are there when the next stage fails, for which a file of GPT-2's is missing."""
    out = tmp_path / "out"
    change = {"LOCAL_FILES": str(write_xsum(tmp_path)), "BPE": "gpt2"}
    result = prepare("xsum", environment, out, check=False, **change)
    assert f"error: LOCAL_FILES: {tmp_path}/encoder.json is not there or empty" in result.stdout
    found = lines(out / "raw")
    assert [len(pairs) for pairs in found.values()] == [40, 6, 7]
    pairs = small_corpora.pairs(7, seed=2)
    assert found["test"] == [(f"{article} The [SN] end.", summary) for article, summary in pairs]


def write_samsum_json(folder):
    item = {"id": "1", "dialogue": "Ann: hi\r\nBob: \u2028 hi", "summary": "They\tgreet."}
    for split in ("train", "val", "test"):
        (folder / f"{split}.json").write_text(json.dumps([item]))
    return folder


def test_samsum_json(tmp_path):
    """A dialogue whose lines end in CR LF, as in SAMSum's own files, becomes one line."""
    assert read("samsum", write_samsum_json(tmp_path))["val"] == [("Ann: hi Bob: hi", "They greet.")]


def test_bad_downloads_leave_nothing_to_trust(environment, tmp_path):
    out, data = tmp_path / "out", write_samsum(tmp_path)

    def fails(message, **change):
        env = {**environment, "OUT": str(out), "LOCAL_FILES": str(data), **change}
        assert_fails(message, EXAMPLES / "prepare-samsum.sh", **env)
        assert not (out / "raw").exists()

    fails("MB free, 999999999 MB are needed", MIN_FREE_MB="999999999")
    fails("could not download https://arxiv.org", LOCAL_FILES="", DOWNLOADER="false")
    if not shutil.which("7z") and not find_spec("py7zr"):
        other = write_script(tmp_path / "downloader", 'echo "not the archive" >"$2"')
        fails("pip install py7zr'", LOCAL_FILES="", DOWNLOADER=other)
    (data / "train.summary.gz").unlink()
    fails("train.summary.gz is not there or empty")
    (data / "train.dialogue.gz").write_bytes(gzip.compress(b"changed since\n"))
    fails("train.dialogue.gz has a wrong checksum")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("samsum in", "the name samsum is of a corpus with a script of its own"),
        ("mine", "expected a name and a folder, got: mine"),
        ("a/b in", "the name must be of letters, digits, - and _, got a/b"),
        ("mine in", "no texts with the keys source and target"),
    ],
)
def test_refused_before_anything_is_written(environment, tmp_path, arguments, message):
    (tmp_path / "in").mkdir()
    write_jsonl(tmp_path / "in" / "train.jsonl", ("dialogue", "summary"), small_corpora.pairs(9, seed=0))
    command = ("env", "-C", tmp_path, EXAMPLES / "prepare-text.sh", *arguments.split())
    assert_fails(message, *command, **environment, OUT="out")
    assert not (tmp_path / "out").exists()


XSUM = "XSUM-EMNLP18-Summary-Data-Original.tar.gz"
XSUM_SPLIT = "XSum-TRAINING-DEV-TEST-SPLIT-90-5-5.json"


@pytest.mark.parametrize(
    ("corpus", "file", "content", "message"),
    [
        ("samsum", "val.json", b'[{"dialogue": "hi', "val.json is damaged (Unterminated string"),
        ("samsum", "val.json", b"[{}]", "val.json has another structure than it should have: 'dialogue'"),
        ("samsum", "val.json", b'[{"dialogue": "\\ud800", "summary": "s"}]', "not UTF-8"),
        ("samsum", "val.json", b"[]", "the corpus has no text for val"),
        ("samsum", "val.json", b"[" * 100000, "val.json is damaged (maximum recursion depth"),
        ("cnn_dm", "all_val.txt", b"http://web.example/none\n", "1 texts are not there, one of them 09a2"),
        ("cnn_dm", "cnn_stories.tgz", b"no archive", "cnn_stories.tgz is damaged"),
        (
            "cnn_dm",
            "dailymail_stories.tgz",
            {"a/b.story": b"caf\xe9"},
            "dailymail_stories.tgz is damaged ('utf-8'",
        ),
        ("xsum", XSUM, {"a/20000.summary": "[SN]URL[SN]"}, "20000.summary has no [SN]FIRST-SENTENCE[SN]"),
        ("xsum", XSUM_SPLIT, b'{"train": []}', "has another structure than it should have: 'validation'"),
    ],
)
def test_corpora(tmp_path, corpus, file, content, message):
    """Regression: what had been read before a damaged part was left behind; some of these were tracebacks."""
    {"cnn_dm": write_cnn_dm, "xsum": write_xsum, "samsum": write_samsum_json}[corpus](tmp_path)
    if isinstance(content, dict):
        write_tar(tmp_path / file, content)
    else:
        (tmp_path / file).write_bytes(content)
    assert_refused(READ_CORPUS, [corpus, ".", "out"], message, tmp_path)


def test_a_failed_corpus_leaves_the_output_of_an_earlier_call(tmp_path):
    write_samsum(tmp_path)
    assert call_here(READ_CORPUS, "samsum", tmp_path, tmp_path / "out").code == 0
    before = contents(tmp_path / "out")
    assert len(before) == 6
    (tmp_path / "test.summary.gz").write_bytes(gzip.compress(b"one\n"))
    failed = call_here(READ_CORPUS, "samsum", tmp_path, tmp_path / "out")
    assert_one_line(failed, "do not have the same number of lines")
    assert contents(tmp_path / "out") == before
