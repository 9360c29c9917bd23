"""Streams, signals, locales, names and environments that rdrop_tools meets."""

import importlib.util
import json
import os
import resource
import sys

import pytest
from bad_files import LANGS, SCORED, write_files
from bad_input import assert_one_line, assert_refused, call, call_here, contents
from conftest import run


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
    message = "SACREBLEU_SEED must be a number or none, got -x"
    assert_refused("score_translation", f"{SCORED} --baseline hyp hyp".split(), message, folder, code=1)


TO_OUTPUT = "is the file that standard output or standard error goes to"


@pytest.mark.parametrize(
    ("command", "redirect", "message"),
    [
        ("marked_up_text lines ref", ">&-", "standard output is closed"),
        ("marked_up_text lines ref", ">/dev/full", "standard input or output: No space left on device"),
        ("marked_up_text lines ref", ">>ref", f"ref {TO_OUTPUT}"),
        ("marked_up_text --help", ">/dev/full", "standard input or output: No space left on device"),
        ("moses tokenize en", "<hyp >>hyp", f"standard input {TO_OUTPUT}"),
        ("moses tokenize en", "<&-", "standard input is closed"),
        ("moses tokenize en", "<utf16", "standard input is not UTF-8 at byte 0, line 1"),
    ],
)
def test_streams_that_are_closed_or_full(folder, command, redirect, message):
    """Regression: a closed stream left its number to the next file, a full one had two lines of error."""
    assert_one_line(call(*command.split(), cwd=folder, redirect=redirect), message)


def test_a_disk_that_takes_no_more(folder, monkeypatch):
    """Regression: what had been written stayed, half a file under the name of a whole one."""
    (folder / "out").mkdir()
    (folder / "out/train.de").write_text("the user's\n")
    assert call_here("sentencepiece_encode", "--help").code == 0  # the imports write, too
    before = contents(folder)
    monkeypatch.chdir(folder)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        result = call_here("sentencepiece_encode", "in", "out", *LANGS.split(), "--vocab-size", "60")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert_one_line(result, "cannot write out/", code=1)
    assert contents(folder) == before


def test_a_reader_that_goes_away_ends_it_quietly(folder):
    (folder / "long").write_text("A dog sees the cat.\n" * 20000)
    for command in ("marked_up_text lines long", "moses detokenize en"):
        result = call(*command.split(), cwd=folder, redirect="<long | head -n 1")
        assert result == (141, "A dog sees the cat.\n", ""), command


def test_a_closed_standard_error_takes_no_line_of_the_output(folder):
    """Regression: SentencePiece and tqdm write to number 2, which was the model's file."""
    for out, redirect in (("out", "2>&-"), ("out2", "")):
        command = f"sentencepiece_encode in {out} {LANGS} --vocab-size 60 --splits train"
        assert call(*command.split(), cwd=folder, redirect=redirect).code == 0
    models = [(folder / out / "sentencepiece.model").read_bytes() for out in ("out", "out2")]
    assert models[0] == models[1]
    assert call("apply_bpe", "codes", "in", "out3", *LANGS.split(), cwd=folder, redirect="2>&-").code == 0


def test_any_locale(folder):
    """A text and a file's name may have other letters in a locale that has none."""
    options = {"cwd": folder, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    (folder / "größe").write_text("Größe\u2028 ist.\n", encoding="utf-8")
    assert call("marked_up_text", "lines", "größe", **options).out == "Größe\u2028 ist.\n"
    assert call("moses", "tokenize", "de", redirect="<größe", **options).out == "Größe ist .\n"
    result = call("marked_up_text", "lines", "kein größe", **options)
    assert_one_line(result, "cannot read kein gr\\udcc3", code=2)


def test_any_name_of_a_file(folder, monkeypatch):
    """Regression: SentencePiece took a comma in the folder's name for the end of the file's."""
    monkeypatch.chdir(folder)
    for name in (" a 'b' \"c\", $d", "-e\nf", os.fsdecode(b"\xff")):
        (folder / name).symlink_to("in")
        arguments = [f"./{name}", f"out {name}", *LANGS.split()]
        assert call_here("sentencepiece_encode", *arguments, "--vocab-size", "60").code == 0, name
        assert call_here("apply_bpe", "codes", *arguments).code == 0, name
        pair = f"{name}/test.en", "in/test.en"
        assert call_here("score_rouge", f"--json={name}.json", "--", *pair).code == 0, name
        assert json.loads((folder / f"{name}.json").read_bytes())["system"]["rouge1"]["f"] == 100
    assert_one_line(call_here("marked_up_text", "segments", "-x\ny"), "arguments are required: files")


@pytest.mark.parametrize(
    ("package", "script", "arguments", "extra"),
    [
        ("sacremoses", "moses", "tokenize de", "examples"),
        ("subword_nmt", "apply_bpe", "codes in out --langs de en", "examples"),
        ("rouge_score", "score_rouge", "ref hyp", "examples"),
        ("matplotlib", "plot_training", "log", "examples"),
        ("transformers", "examples/huggingface/fine_tune.py", "--out new", "huggingface"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(folder, monkeypatch, package, script, arguments, extra):
    """Regression: it ended in a traceback, or in a hook for all errors of whoever imported rdrop_tools."""
    hook = sys.excepthook
    for name in [package, *(name for name in sys.modules if name.startswith(f"{package}."))]:
        monkeypatch.setitem(sys.modules, name, None)
    assert call_here(script, "--help").code == 0
    install = f"source .venv/bin/activate, or pip install -e '.[{extra}]'\n"
    message = f"{package} is not installed here: in the clone, {install}"
    assert_refused(script, arguments.split(), message, folder)
    assert sys.excepthook is hook


def test_what_a_new_process_misses(tmp_path):
    """The package is for Python 3.8 too, and installs the commands there: they ended in a TypeError."""
    (tmp_path / "checkpoint1.pt").touch()
    arguments = [tmp_path, tmp_path / "out.pt", "--count", "1"]
    average = "from rdrop_tools.training import average_checkpoints as script; script.command()"
    for code, message in (
        (f"sys.modules['fairseq'] = None; {average}", "fairseq is not installed here: "),
        ("sys.version_info = (3, 9); import rdrop_tools.cli", "the tools need Python 3.10 or newer"),
    ):
        result = run(sys.executable, "-c", f"import sys; {code}", *arguments, check=False)
        assert result.returncode == 1
        assert result.stdout.startswith(f"error: {message}")
        assert result.stdout.count("\n") == 1
