"""examples/translation/prepare-*.sh from archives like the real ones: right, or refused by name."""

import gzip

import pytest
from conftest import files, kill_when, run
from shell_scripts import assert_fails
from small_corpora import write_script, write_tar
from translation_data import (
    COMMON,
    MULTI30K_SETTINGS,
    TINY,
    TRANSLATION,
    environment,
    iwslt14_members,
    wmt14_archives,
    write_multi30k,
)

from rdrop_tools.lines import read_lines

IWSLT14 = {**COMMON, "EXPECTED": "95 4 15"}
WMT14 = {**COMMON, "EXPECTED": "89-90 5 6"}
STAGES = ("corpus", "pieces", "data-bin")


@pytest.fixture(scope="module")
def env():
    return environment()


def prepare(name, *arguments, **env):
    return run(TRANSLATION / f"prepare-{name}.sh", *arguments, **env)


def fails(message, name, *arguments, out, trusted=(), **env):
    """The script ends with this message, and leaves no output that it would trust."""
    assert_fails(message, TRANSLATION / f"prepare-{name}.sh", *arguments, OUT=str(out), **env)
    for stage in set(STAGES) - set(trusted):
        assert not (out / stage).exists(), stage


def test_iwslt14(env, tmp_path):
    """A downloader's first delivery is damaged; then it is killed, finds other numbers, and runs twice.

    Regression: one pair more than expected lost the tokens; now EXPECTED takes them as they are.
    """
    good, out = tmp_path / "de-en.tgz", tmp_path / "out"
    write_tar(good, iwslt14_members())
    downloader = write_script(tmp_path / "downloader", f'head -c ${{BYTES:-99999}} "{good}" >"$2"')
    env = {**env, **IWSLT14, "DOWNLOADER": downloader}
    fails("de-en.tgz is damaged", "iwslt14", out=out, **env, BYTES="900")
    (out / "download" / "de-en.tgz").unlink()
    kill_when(out / "corpus.part" / "tok", TRANSLATION / "prepare-iwslt14.sh", **env, OUT=str(out))
    assert not (out / "corpus").exists()
    message = "IWSLT14 has 95 4 15 pairs in train valid test, expected 160239 4 9-14; if this is the data you"
    fails(message, "iwslt14", out=out, trusted=("corpus",), **{**env, "EXPECTED": "160239 4 9-14"})
    corpus = files(out / "corpus")
    prepare("iwslt14", **env, OUT=str(out))
    assert not list(out.glob("*.part"))
    finished = files(out)
    assert finished.items() > corpus.items()
    prepare("iwslt14", **env, OUT=str(out))
    assert files(out) == finished

    raw, tok, pieces = out / "corpus" / "raw", out / "corpus" / "tok", out / "pieces"
    everything = iwslt14_members()["de-en/train.tags.de-en.en"].decode().splitlines()
    assert read_lines(raw / "train.en")[0] == everything[3].removeprefix("<title>").removesuffix("</title>")
    # The pair with a ratio of 11 to 2 is gone, which makes the 24th sentence the 23rd: the first of valid.
    assert read_lines(raw / "valid.en")[0] == everything[3 + 23]
    escaped = "it &apos;s &quot; a &quot; well-known dog &amp; cat &apos;s ."
    assert read_lines(tok / "train.en")[10] == escaped
    assert read_lines(raw / "train.en")[10] == "It's \"A\"  well-known dog & cat's."
    assert len(read_lines(tok / "test.de")) == 15
    for split in ("train", "valid", "test"):
        for lang in ("de", "en"):
            undone = [line.replace("@@ ", "") for line in read_lines(pieces / f"{split}.{lang}")]
            assert undone == read_lines(tok / f"{split}.{lang}")
    assert (out / "data-bin" / "dict.de.txt").read_bytes() == (out / "data-bin" / "dict.en.txt").read_bytes()
    assert (out / "data-bin" / "test.de-en.en.bin").stat().st_size


@pytest.mark.slow
def test_iwslt14_sentencepiece_keeps_the_text_to_the_score(env, tmp_path):
    env = {**env, **IWSLT14, "LOCAL_FILES": str(tmp_path), "BPE": "sentencepiece", "MERGES": "90"}
    out = tmp_path / 'it\'s my "out" $1 [a]'
    write_tar(tmp_path / "de-en.tgz", iwslt14_members())
    prepare("iwslt14", OUT=str(out), **env)
    for path in (out / "corpus" / "raw").iterdir():
        pieces = read_lines(out / "pieces" / path.name)
        undone = [line.replace(" ", "").replace("▁", " ").strip() for line in pieces]
        assert undone == [" ".join(line.split()) for line in read_lines(path)]
    assert len(read_lines(out / "corpus" / "raw" / "train.de")) == 95
    trained, settings = tmp_path / "#tra 'ined", {**environment(), "DATA": str(out), "MAX_UPDATE": "4"}
    run(TRANSLATION / "train.sh", "iwslt14.en-de", *TINY, **settings, OUT=str(trained))
    scores = run(TRANSLATION / "evaluate.sh", trained, **settings, DECODING="--beam 1").stdout
    assert scores.count("case:lc|eff:no") == 3  # sacreBLEU's, and the papers' two ways
    assert "BLEU, tokenised, compounds split  " in scores
    assert len(read_lines(trained / "evaluation.test" / "system" / "hyp.tok")) == 15
    env |= {"BPE": "subword-nmt", "MERGES": "40"}
    fails("other settings (BPE=sentencepiece MERGES=90)", "iwslt14", out=out, trusted=STAGES, **env)


def test_wmt14_english_german(env, tmp_path):
    for name, members in wmt14_archives("en-de").items():
        write_tar(tmp_path / name, members)
    env = {**env, **WMT14, "WORKERS": "2", "LOCAL_FILES": str(tmp_path)}
    crawl = tmp_path / "training-parallel-commoncrawl.tgz"
    whole = crawl.read_bytes()
    write_tar(crawl, {"commoncrawl.de-en.en": "One side.\n"})
    fails("commoncrawl.tgz is damaged or has other contents", "wmt14", out=tmp_path / "bad", **env)
    crawl.write_bytes(whole)
    out = tmp_path / "out"
    prepare("wmt14", OUT=str(out), **env)
    tok = out / "corpus" / "tok"
    assert len(read_lines(tok / "train.en")) == len(read_lines(tok / "train.de")) == 90
    assert read_lines(tok / "test.en")[0] == "A well @-@ known dog &apos;s “ hat ” ."
    assert read_lines(out / "corpus" / "raw" / "test.en")[0] == "A well-known dog’s “hat”."  # noqa: RUF001
    assert len(read_lines(out / "pieces" / "valid.en")) == 5
    assert (out / "data-bin" / "valid.en-de.en.bin").stat().st_size

    # The archives may go when the text is there; one that stays is tested on every run.
    (out / "download" / "dev.tgz").unlink()
    prepare("wmt14", OUT=str(out), **env)
    with (tmp_path / "test-full.tgz").open("ab") as archive:
        archive.write(b"more")
    fails("test-full.tgz has a wrong checksum", "wmt14", out=out, trusted=STAGES, **env)


def test_wmt14_english_french_with_another_number_of_pairs(env, tmp_path):
    """What has been read of all five archives stays for a run that expects that number."""
    for name, members in wmt14_archives("en-fr").items():
        write_tar(tmp_path / name, members)
    env = {**env, **WMT14, "LOCAL_FILES": str(tmp_path), "EXPECTED": "151-152 5 6"}
    out = tmp_path / "out"
    fails("WMT14 en-fr has 150 5 6 pairs", "wmt14", "en-fr", out=out, trusted=("corpus",), **env)
    assert [len(read_lines(out / "corpus" / "tok" / f"train.{lang}")) for lang in ("en", "fr")] == [150, 150]


def test_multi30k_refuses_what_is_not_whole(env, tmp_path):
    env = {**env, **MULTI30K_SETTINGS, "LOCAL_FILES": str(write_multi30k(tmp_path / "local"))}
    fails("expected 29000 1014 1000", "multi30k", out=tmp_path / "a", **{**env, "EXPECTED": ""})
    no_room = {**env, "MIN_FREE_MB": "9" * 9}
    fails("MB free, 999999999 MB are needed", "multi30k", out=tmp_path / "a", **no_room)
    side = tmp_path / "local" / "val.de.gz"
    side.write_bytes(gzip.compress(b"one line\n"))
    fails("valid.de has 1 lines, expected 12", "multi30k", out=tmp_path / "b", **env)
    side.write_bytes(side.read_bytes()[:-12])
    fails("val.de.gz is damaged", "multi30k", out=tmp_path / "c", **env)
    env |= {"LOCAL_FILES": "", "DOWNLOADER": write_script(tmp_path / "downloader", 'echo "not found" >"$2"')}
    fails("train.en.gz has a wrong checksum", "multi30k", out=tmp_path / "e", **env)
