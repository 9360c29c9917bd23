"""Streams, signals, locales and names that rdrop_tools/text and rdrop_tools/scoring meet."""

import importlib.util
import json
import os
import resource

import pytest
from bad_files import LANGS, SCORED, write_files
from bad_input import assert_one_line, assert_refused, call, call_here, contents


@pytest.fixture
def folder(tmp_path):
    return write_files(tmp_path)


@pytest.mark.parametrize("tokeniser", ["ja-mecab", "flores200"])
def test_a_tokeniser_that_is_not_there(folder, tmp_path_factory, tokeniser):
    """Regression: RuntimeError and URLError were shown with their tracebacks, where nothing is downloaded."""
    if tokeniser == "ja-mecab" and importlib.util.find_spec("ipadic"):
        pytest.skip("ipadic is there")
    env = {"SACREBLEU": str(tmp_path_factory.mktemp("sacrebleu")), "https_proxy": "http://127.0.0.1:9"}
    arguments = [*SCORED.split(), "--tokenize", tokeniser]
    message = f"--tokenize {tokeniser} is not to be had here: "
    assert_refused("score_translation", arguments, message, folder, caller=call, code=1, **env)


def test_the_seed_of_sacrebleus_bootstrap(folder, monkeypatch):
    monkeypatch.setenv("SACREBLEU_SEED", "-x")
    arguments = [*SCORED.split(), "--baseline", "hyp", "hyp"]
    message = "SACREBLEU_SEED must be a number or none, got -x"
    assert_refused("score_translation", arguments, message, folder, code=1)


STREAMS = [
    ("marked_up_text", "segments test.sgm", ">&-", "standard output is closed"),
    (
        "marked_up_text",
        "segments test.sgm",
        ">/dev/full",
        "standard input or output: No space left on device",
    ),
    (
        "marked_up_text",
        "lines ref",
        ">>ref",
        "ref is the file that standard output or standard error goes to",
    ),
    ("marked_up_text", "--help", ">/dev/full", "standard input or output: No space left on device"),
    ("moses", "tokenize en", "<hyp >>hyp", "standard input is the file that standard output"),
    ("moses", "tokenize en", "<&-", "standard input is closed"),
    ("moses", "tokenize en", "<utf16", "standard input is not UTF-8 at byte 0, line 1"),
]


@pytest.mark.parametrize(("script", "arguments", "redirect", "message"), STREAMS)
def test_streams_that_are_closed_or_full(folder, script, arguments, redirect, message):
    """Regression: a closed stream left its number to the next file, a full one had two lines of error."""
    result = call(script, *arguments.split(), cwd=folder, redirect=redirect)
    assert_one_line(result, message)
    assert not (folder / "out").is_dir()


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("apply_bpe", f"codes in out {LANGS}"),
        ("sentencepiece_encode", f"in out {LANGS} --vocab-size 60"),
        ("score_translation", f"{SCORED} --json out/scores.json"),
    ],
)
def test_a_disk_that_takes_no_more(folder, monkeypatch, script, arguments):
    """Regression: what had been written stayed, half a file under the name of a whole one."""
    (folder / "out").mkdir()
    (folder / "out/train.de").write_text("the user's\n")
    assert call_here(script, "--help").code == 0  # the imports write, too

    def call_limited(*command):
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
        try:
            return call_here(*command)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    before = contents(folder)
    monkeypatch.chdir(folder)
    assert_one_line(call_limited(script, *arguments.split()), "cannot write out/", code=1)
    assert contents(folder) == before


def test_a_reader_that_goes_away_ends_it_quietly(folder):
    (folder / "long").write_text("A dog sees the cat.\n" * 20000)
    for script, arguments in (("marked_up_text", ["lines", "long"]), ("moses", ["detokenize", "en"])):
        result = call(script, *arguments, cwd=folder, redirect="<long | head -n 1")
        assert (result.code, result.err) == (141, ""), script
        assert result.out == "A dog sees the cat.\n"


def test_a_closed_standard_error_takes_no_line_of_the_output(folder):
    """Regression: SentencePiece and tqdm write to number 2, which was the model's file."""
    arguments = [*"in out --vocab-size 60 --splits train".split(), *LANGS.split()]
    assert call("sentencepiece_encode", *arguments, cwd=folder, redirect="2>&-").code == 0
    assert call("sentencepiece_encode", *arguments[:1], "out2", *arguments[2:], cwd=folder).code == 0
    models = [(folder / out / "sentencepiece.model").read_bytes() for out in ("out", "out2")]
    assert models[0] == models[1]
    assert call("apply_bpe", "codes", "in", "out3", *LANGS.split(), cwd=folder, redirect="2>&-").code == 0


def test_any_locale(folder):
    """A text and a file's name may have other letters in a locale that has none."""
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    (folder / "größe").write_text("Größe\u2028 ist.\n", encoding="utf-8")
    assert call("marked_up_text", "lines", "größe", cwd=folder, **ascii_only).out == "Größe\u2028 ist.\n"
    assert call("moses", "tokenize", "de", cwd=folder, redirect="<größe", **ascii_only).out == "Größe ist .\n"
    result = call("marked_up_text", "lines", "kein größe", cwd=folder, **ascii_only)
    assert_one_line(result, "cannot read kein gr\\udcc3", code=2)


def test_any_name_of_a_file(folder, monkeypatch):
    """Regression: SentencePiece took a comma in the folder's name for the end of the file's."""
    monkeypatch.chdir(folder)
    for name in (" a 'b' \"c\", $d", "-e\nf", os.fsdecode(b"\xff")):
        (folder / name).symlink_to("in")
        arguments = [f"./{name}", f"out {name}", *LANGS.split()]
        assert call_here("sentencepiece_encode", *arguments, "--vocab-size", "60").code == 0, name
        assert call_here("apply_bpe", "codes", *arguments).code == 0, name
        assert (
            call_here("score_rouge", f"--json={name}.json", "--", f"{name}/test.en", "in/test.en").code == 0
        ), name
        assert json.loads((folder / f"{name}.json").read_bytes())["system"]["rouge1"]["f"] == 100
    assert_one_line(call_here("marked_up_text", "segments", "-x\ny"), "arguments are required: files")
