"""examples/summarization/prepare-*.sh and read_corpus.py on small corpora in the real ones' form."""

import gzip
import json
import shutil
import sys
import tarfile
from importlib.util import find_spec
from pathlib import Path

import pytest
import small_corpora
from conftest import files, run, scripts_environment
from small_corpora import EXAMPLES, SIZES, write_cnn_dm, write_samsum, write_tar, write_xsum

pytest.importorskip("fairseq")
sys.path.insert(0, str(EXAMPLES))
import read_corpus


@pytest.fixture(scope="module")
def environment():
    settings = {"MIN_FREE_MB": "1", "WORKERS": "1", "BPE": "sentencepiece", "VOCAB": "90"}
    return {**scripts_environment(), **settings}


def prepare(corpus, env, out, check=True, **change):
    return run(EXAMPLES / f"prepare-{corpus}.sh", check=check, **{**env, "OUT": str(out), **change})


def lines(folder):
    """{split: [(source, target)]}"""
    sides = {
        split: [
            (folder / f"{split}.{side}").read_text(encoding="utf-8").split("\n")[:-1]
            for side in ("source", "target")
        ]
        for split in ("train", "val", "test")
    }
    return {split: list(zip(*pair, strict=True)) for split, pair in sides.items()}


def read(corpus, folder, out):
    arguments = [sys.executable, EXAMPLES / "read_corpus.py", corpus, folder, out]
    result = run(*arguments, check=False)
    assert result.returncode == 1
    assert result.stdout.count("\n") == 1, result.stdout
    return result.stdout


def test_samsum_interrupted_resumed_and_done(environment, tmp_path):
    """What was complete is kept, what was not is made again, and when all is done nothing happens."""
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
    read_corpus.write(read_corpus.read_cnn_dm(write_cnn_dm(tmp_path)), tmp_path / "raw")
    found = lines(tmp_path / "raw")
    assert [len(pairs) for pairs in found.values()] == [39, 6, 7]  # one has no text
    for split, seed in (("val", 1), ("test", 2)):
        expected = [
            (article.replace(" . ", ". "), f"{highlight.removesuffix(' .')}. It is over.")
            for article, highlight in small_corpora.pairs(len(found[split]), seed)
        ]
        assert sorted(found[split]) == sorted(expected)  # the order is that of the archives


def test_xsum_articles(environment, tmp_path):
    out = tmp_path / "out"
    prepare("xsum", environment, out, LOCAL_FILES=str(write_xsum(tmp_path)))
    found = lines(out / "raw")
    assert [len(pairs) for pairs in found.values()] == [40, 6, 7]
    assert found["test"] == [
        (f"{article} The end.", summary) for article, summary in small_corpora.pairs(7, 2)
    ]


def test_samsum_json(tmp_path):
    """The form of the distribution: lines of a dialogue end in CR LF."""
    for split in ("train", "val", "test"):
        items = [{"id": "1", "dialogue": "Ann: hi\r\nBob: \u2028 hi", "summary": "They\tgreet."}]
        (tmp_path / f"{split}.json").write_text(json.dumps(items))
    read_corpus.write(read_corpus.read_samsum(tmp_path), tmp_path / "raw")
    assert lines(tmp_path / "raw")["val"] == [("Ann: hi Bob: hi", "They greet.")]
    (tmp_path / "val.json").write_text('[{"dialog": "hi"}]')
    assert "has another structure than samsum's: item 1 has no 'dialogue' and 'summary'" in read(
        "samsum", tmp_path, tmp_path / "x"
    )
    (tmp_path / "val.json").write_text('[{"dialogue": "hi')
    assert f"{tmp_path / 'val.json'} is damaged" in read("samsum", tmp_path, tmp_path / "x")


def test_lines_of_samsum_as_they_come(tmp_path):
    """The last line without its end was lost."""
    write_samsum(tmp_path)
    for side in ("dialogue", "summary"):
        (tmp_path / f"valid.{side}.gz").write_bytes(
            gzip.compress("one\rline\ntwo\u2028lines\r\nthree".encode())
        )
    read_corpus.write(read_corpus.read_samsum(tmp_path), tmp_path / "raw")
    assert [source for source, _ in lines(tmp_path / "raw")["val"]] == ["one line", "two lines", "three"]


def test_xsum_text_with_the_mark_in_its_body(tmp_path):
    """What followed it was lost."""
    write_xsum(tmp_path, counts=(1, 1, 1))
    archive = tmp_path / "XSUM-EMNLP18-Summary-Data-Original.tar.gz"
    text = "[SN]URL[SN]u[SN]TITLE[SN]t[SN]FIRST-SENTENCE[SN]A summary.[SN]RESTBODY[SN]The [SN] in it."
    write_tar(archive, {f"{n}0000.summary": text for n in range(3)})
    read_corpus.write(read_corpus.read_xsum(tmp_path), tmp_path / "raw")
    assert lines(tmp_path / "raw")["train"] == [("The [SN] in it.", "A summary.")]


def test_bad_texts_are_named(tmp_path):
    write_samsum(tmp_path)
    good = (tmp_path / "valid.summary.gz").read_bytes()
    for content, message in (
        (good[:-20], "valid.summary.gz is damaged"),
        (b"no gzip file", "valid.summary.gz is damaged"),
        (gzip.compress(b"caf\xe9\n", mtime=0), "valid.summary.gz is not UTF-8 at byte 3, line 1"),
        (gzip.compress(b"one\n", mtime=0), "valid.summary.gz do not have the same number of lines: 11 and 1"),
        (gzip.compress(b"\n" * 11, mtime=0), "the corpus has no text for val"),
    ):
        (tmp_path / "valid.summary.gz").write_bytes(content)
        assert message in read("samsum", tmp_path, tmp_path / "raw")
        assert not (tmp_path / "raw").exists()


def test_bad_archives_are_named(tmp_path):
    write_cnn_dm(tmp_path)
    archive = tmp_path / "dailymail_stories.tgz"
    content = archive.read_bytes()
    archive.write_bytes(content[: len(content) // 2])
    assert f"{archive} is damaged" in read("cnn_dm", tmp_path, tmp_path / "raw")
    write_tar(archive, {"dailymail/stories/x.story": b"caf\xe9"})
    assert "x.story is not UTF-8 at byte 3" in read("cnn_dm", tmp_path, tmp_path / "raw")
    write_tar(archive, {"dailymail/stories/x.story": "Not in the lists"})
    assert "cnn_stories.tgz and dailymail_stories.tgz: " in read("cnn_dm", tmp_path, tmp_path / "raw")
    write_xsum(tmp_path)
    archive = tmp_path / "XSUM-EMNLP18-Summary-Data-Original.tar.gz"
    with tarfile.open(archive) as files:
        first = files.getnames()[0]
    write_tar(archive, {first: "[SN]URL[SN]"})
    assert f"{Path(first).name} has no [SN]FIRST-SENTENCE[SN]" in read("xsum", tmp_path, tmp_path / "raw")


def test_bad_downloads_leave_nothing_to_trust(environment, tmp_path):
    data = write_samsum(tmp_path)

    def fails_with(message, corpus="samsum", out=tmp_path / "out", **change):
        result = prepare(corpus, environment, out, check=False, **{"LOCAL_FILES": str(data), **change})
        assert result.returncode == 1
        assert message in "\n".join(result.stdout.splitlines()[-3:]), result.stdout
        assert "Traceback" not in result.stdout
        assert not (out / "raw").exists()

    fails_with("cnn_stories.tgz is not there or empty", corpus="cnn_dm")
    (tmp_path / "archive").write_text("not the archive")
    downloader = tmp_path / "downloader"
    downloader.write_text(f'#!/bin/sh\ncp {tmp_path / "archive"} "$2"\n')
    downloader.chmod(0o755)
    fails_with(
        "cnn_stories.tgz has a wrong checksum", corpus="cnn_dm", LOCAL_FILES="", DOWNLOADER=str(downloader)
    )
    fails_with(
        "could not download https://arxiv.org", LOCAL_FILES="", DOWNLOADER="false", out=tmp_path / "new"
    )
    if not any(map(shutil.which, ("7z", "7zz", "7za", "bsdtar"))) and not find_spec("py7zr"):
        fails_with("pip install py7zr'", LOCAL_FILES="", DOWNLOADER=str(downloader), out=tmp_path / "new")
    (data / "train.summary.gz").unlink()
    fails_with("train.summary.gz is not there or empty")
    (data / "train.dialogue.gz").write_bytes(gzip.compress(b"changed since\n"))
    fails_with("train.dialogue.gz has a wrong checksum")


def test_bad_settings_end_with_one_line(environment, tmp_path):
    for change, message in (
        ({"BPE": "words"}, "BPE must be gpt2 or sentencepiece, got words"),
        ({"MIN_FREE_MB": "999999999"}, "MB free, 999999999 MB are needed"),
        ({"OUT": "/dev/null/out"}, "cannot write to /dev/null/out"),
    ):
        result = prepare("samsum", environment, tmp_path / "out", check=False, **change)
        assert result.returncode == 1
        assert message in result.stdout.splitlines()[-1]


@pytest.mark.parametrize("script", sorted(path.name for path in EXAMPLES.glob("*-*.sh")))
def test_help_and_unknown_arguments(script):
    assert run(EXAMPLES / script, "--help").stdout.startswith(f"usage: examples/summarization/{script}")
    result = run(EXAMPLES / script, "--alpha", check=False)
    assert result.returncode == 1
    expected = "expected a name and a folder, got" if script == "prepare-text.sh" else "unexpected argument"
    assert result.stdout.strip().endswith(f"error: {expected}: --alpha")
