"""examples/summarization/prepare-*.sh and read_corpus.py on small corpora in the real ones' form."""

import gzip
import json
import shutil
import sys
from importlib.util import find_spec

import pytest
import small_corpora
from conftest import files, run, scripts_environment
from small_corpora import EXAMPLES, SIZES, write_cnn_dm, write_samsum, write_script, write_tar, write_xsum

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
    found = {}
    for split in ("train", "val", "test"):
        sides = ((folder / f"{split}.{side}").read_text("utf-8") for side in ("source", "target"))
        found[split] = list(zip(*(text.split("\n")[:-1] for text in sides), strict=True))
    return found


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
    out = tmp_path / "out"
    prepare("xsum", environment, out, LOCAL_FILES=str(write_xsum(tmp_path)))
    found = lines(out / "raw")
    assert [len(pairs) for pairs in found.values()] == [40, 6, 7]
    pairs = small_corpora.pairs(7, seed=2)
    assert found["test"] == [(f"{article} The end.", summary) for article, summary in pairs]


def test_samsum_json(tmp_path):
    """A dialogue whose lines end in CR LF, as in SAMSum's own files, becomes one line."""
    for split in ("train", "val", "test"):
        items = [{"id": "1", "dialogue": "Ann: hi\r\nBob: \u2028 hi", "summary": "They\tgreet."}]
        (tmp_path / f"{split}.json").write_text(json.dumps(items))
    assert read("samsum", tmp_path)["val"] == [("Ann: hi Bob: hi", "They greet.")]


def test_lines_of_samsum_as_they_come(tmp_path):
    """Regression: the last line was lost where it had no line feed."""
    write_samsum(tmp_path)
    text = gzip.compress("one\rline\ntwo\u2028lines\r\nthree".encode())
    for side in ("dialogue", "summary"):
        (tmp_path / f"valid.{side}.gz").write_bytes(text)
    assert [source for source, _ in read("samsum", tmp_path)["val"]] == ["one line", "two lines", "three"]


def test_xsum_text_with_the_mark_in_its_body(tmp_path):
    """Regression: the text after a mark in the body was lost."""
    write_xsum(tmp_path, counts=(1, 1, 1))
    archive = tmp_path / "XSUM-EMNLP18-Summary-Data-Original.tar.gz"
    text = "[SN]URL[SN]u[SN]TITLE[SN]t[SN]FIRST-SENTENCE[SN]A summary.[SN]RESTBODY[SN]The [SN] in it."
    write_tar(archive, {f"{n}0000.summary": text for n in range(3)})
    assert read("xsum", tmp_path)["train"] == [("The [SN] in it.", "A summary.")]


def test_bad_downloads_leave_nothing_to_trust(environment, tmp_path):
    data = write_samsum(tmp_path)

    def fails_with(message, corpus="samsum", out=tmp_path / "out", **change):
        result = prepare(corpus, environment, out, check=False, **{"LOCAL_FILES": str(data), **change})
        assert result.returncode == 1
        assert message in "\n".join(result.stdout.splitlines()[-3:]), result.stdout
        assert "Traceback" not in result.stdout
        assert not (out / "raw").exists()

    new = {"out": tmp_path / "new", "LOCAL_FILES": ""}
    other = write_script(tmp_path / "downloader", 'echo "not the archive" >"$2"')
    fails_with("MB free, 999999999 MB are needed", MIN_FREE_MB="999999999")
    fails_with("cnn_stories.tgz is not there or empty", corpus="cnn_dm")
    fails_with("cnn_stories.tgz has a wrong checksum", corpus="cnn_dm", LOCAL_FILES="", DOWNLOADER=other)
    fails_with("could not download https://arxiv.org", **new, DOWNLOADER="false")
    if not any(map(shutil.which, ("7z", "7zz", "7za", "bsdtar"))) and not find_spec("py7zr"):
        fails_with("pip install py7zr'", **new, DOWNLOADER=other)
    (data / "train.summary.gz").unlink()
    fails_with("train.summary.gz is not there or empty")
    (data / "train.dialogue.gz").write_bytes(gzip.compress(b"changed since\n"))
    fails_with("train.dialogue.gz has a wrong checksum")
