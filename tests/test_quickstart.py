"""scripts/quickstart.sh from beginning to end, on small corpora in the real ones' form."""

import gzip
import json

import pytest
from conftest import SCRIPTS, files, kill_when, run, scripts_environment, sentences

SCRIPT = SCRIPTS / "quickstart.sh"
SMALL = {"MAX_UPDATE": "8", "VOCAB": "70", "HELDOUT": "10", "MIN_FREE_MB": "1"}


@pytest.fixture(scope="module")
def environment():
    return {**scripts_environment(), **SMALL}


@pytest.fixture(scope="module")
def help_dir(tmp_path_factory):
    """Pages like those of the LibreOffice help, one per ten sentences."""
    folder = tmp_path_factory.mktemp("help")
    pairs = list(dict.fromkeys(sentences(300, seed=5)))
    for page in range(len(pairs) // 10):
        for side, lang in enumerate(("de", "en-US")):
            body = "\n".join(
                f'<p id="par_id{n}" class="paragraph">{pair[side].replace("the", "<b>the</b>", 1)}</p>'
                for n, pair in enumerate(pairs[10 * page : 10 * page + 10])
            )
            path = folder / lang / "text" / f"page{page}.html"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"<html><body><h1 id='hd_id1'>Same</h1>{body}</body></html>", encoding="utf-8")
    return folder


def write_multi30k(folder, lines=(120, 12, 12)):
    for split, count in zip(("train", "val", "test_2016_flickr"), lines, strict=True):
        for side, lang in enumerate(("de", "en")):
            text = "".join(pair[side] + "\n" for pair in sentences(count, seed=count))
            (folder / f"{split}.{lang}.gz").write_bytes(gzip.compress(text.encode()))
    return folder


def last_lines(result):
    return "\n".join(result.stdout.strip().splitlines()[-3:])


def test_libreoffice_interrupted_resumed_and_done(environment, help_dir, tmp_path):
    """Killed in the middle of training, it goes on from the checkpoint; when done, it does nothing."""
    out = tmp_path / "out"
    env = {**environment, "LIBREOFFICE_HELP_DIR": str(help_dir), "OUT": str(out), "MAX_UPDATE": "60"}
    kill_when(out / "checkpoints" / "checkpoint_last.pt", SCRIPT, **env)
    assert not (out / "trained").exists()

    finished = files(out / "data")
    result = run(SCRIPT, **env)
    assert "training: 60 updates" in result.stdout
    assert "Loaded checkpoint" in (out / "train.log").read_text()
    assert files(out / "data") == finished
    assert [metric["name"] for metric in json.loads((out / "score.json").read_text())] == ["BLEU", "chrF2"]
    assert len((out / "test.hyp").read_text().splitlines()) == 10
    assert (out / "training.png").read_bytes().startswith(b"\x89PNG")
    assert (out / "samples.txt").read_text().count("reference") == 10
    assert "version:" in last_lines(result)  # the signature

    before = files(out)
    again = run(SCRIPT, **env)
    assert files(out) == before
    assert last_lines(again).splitlines()[0] == last_lines(result).splitlines()[0]


def test_a_setting_can_be_corrected_until_something_is_made_with_it(environment, help_dir, tmp_path):
    """A wrong HELDOUT, of which nothing came, made the right one 'other settings'."""
    env = {**environment, "LIBREOFFICE_HELP_DIR": str(help_dir), "OUT": str(tmp_path)}
    first = run(SCRIPT, check=False, **{**env, "HELDOUT": "1000"})
    assert "pairs, more than 2000 are needed" in first.stdout
    kill_when(tmp_path / "raw", SCRIPT, **env)
    before = files(tmp_path)
    second = run(SCRIPT, check=False, **{**env, "HELDOUT": "11"})
    assert second.returncode != 0
    assert "was made with other settings (HELDOUT=10): choose another folder with OUT" in last_lines(second)
    assert files(tmp_path) == before


def test_multi30k_from_a_folder_and_its_results_are_not_taken_for_those_of_other_settings(
    environment, tmp_path
):
    """A second call with another alpha printed the first call's scores."""
    env = {**environment, "CORPUS": "multi30k", "OUT": str(tmp_path / "out")}
    env["LOCAL_FILES"] = str(write_multi30k(tmp_path))
    result = run(SCRIPT, **env)
    assert len((tmp_path / "out" / "test.hyp").read_text().splitlines()) == 12
    assert "BLEU" in result.stdout
    before = files(tmp_path)
    second = run(SCRIPT, check=False, **env, ALPHA="7")
    assert second.returncode != 0
    assert "was made with other settings (ALPHA=0.5): choose another folder with OUT" in last_lines(second)
    assert files(tmp_path) == before


def test_bad_corpora_are_named_and_leave_nothing_to_trust(environment, tmp_path):
    good = write_multi30k(tmp_path)

    def fails_with(message, **change):
        out = tmp_path / message.replace(":", "").replace(",", "")  # fairseq takes paths apart there
        env = {**environment, "CORPUS": "multi30k", "OUT": str(out), "LOCAL_FILES": str(good), **change}
        result = run(SCRIPT, check=False, **env)
        assert result.returncode != 0
        assert message in last_lines(result), result.stdout
        assert not (out / "raw").exists()

    file = good / "val.en.gz"
    file.unlink()
    fails_with("val.en.gz is not there")
    for content, message in (
        (b"not a gzip file", "val.en.gz is damaged"),
        (gzip.compress(b"", mtime=0), "empty file: "),
        (gzip.compress(b"one line\n", mtime=0), "valid.en has 1 lines, expected 12"),
    ):
        file.write_bytes(content)
        fails_with(message)
    file.write_bytes(gzip.compress(b"changed since\n"))
    fails_with("wrong checksum", OUT=str(tmp_path / "valid.en has 1 lines expected 12"))
    downloader = tmp_path / "downloader"
    downloader.write_text('#!/bin/sh\necho not the archive > "$2"\n')
    downloader.chmod(0o755)
    fails_with("has a wrong checksum", LOCAL_FILES="", DOWNLOADER=str(downloader))
    fails_with("could not download", LOCAL_FILES="", DOWNLOADER="false")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"CORPUS": "wmt"}, "CORPUS must be libreoffice or multi30k, got wmt"),
        ({"CRITERION": "kl"}, "CRITERION must be rdrop or plain, got kl"),
        ({"OUT": "/dev/null/out"}, "cannot write to /dev/null/out"),
        ({"MIN_FREE_MB": "999999999"}, "MB free, 999999999 MB are needed"),
        ({"LIBREOFFICE_HELP_DIR": "/not/there"}, "/not/there/de is not a folder of help pages"),
        ({"VENV": "/dev/shm/no-such-venv", "PYTHON": "false"}, "PYTHON: false does not start"),
    ],
)
def test_bad_settings_end_with_one_line_and_keep_results(environment, tmp_path, change, message):
    (tmp_path / "settings").write_text("KIND=quickstart\n")
    (tmp_path / "test.hyp").write_text("earlier\n")
    result = run(SCRIPT, check=False, **{**environment, "OUT": str(tmp_path), **change})
    assert result.returncode != 0
    assert message in last_lines(result)
    assert "Traceback" not in result.stdout
    assert (tmp_path / "test.hyp").read_text() == "earlier\n"


def test_help_and_unknown_arguments():
    assert run(SCRIPT, "--help").stdout.startswith("usage: scripts/quickstart.sh")
    result = run(SCRIPT, "--alpha", check=False)
    assert result.returncode == 1
    assert result.stdout.strip().endswith("error: unexpected argument: --alpha")
