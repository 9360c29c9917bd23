"""Streams, locales, names and environments that rdrop_tools meets. Signals are in test_workers.py."""

import sys

import pytest
from bad_files import SCORED, write_files
from bad_input import assert_refused, call_here
from conftest import run
from sacrebleu.tokenizers import tokenizer_ja_mecab


@pytest.fixture
def folder(tmp_path):
    return write_files(tmp_path)


def test_a_tokeniser_that_is_not_there(folder, monkeypatch):
    """Regression: sacreBLEU's RuntimeError was shown with its traceback."""
    monkeypatch.setattr(tokenizer_ja_mecab, "MeCab", None)
    message = "--tokenize ja-mecab is not to be had here: Japanese tokenization requires extra dependencies"
    assert_refused("score_translation", [*SCORED.split(), "--tokenize", "ja-mecab"], message, folder, code=1)


@pytest.mark.parametrize(
    ("command", "code", "output"),
    [
        ("text.marked_up_text lines ref >/dev/full", 1, "error: standard input or output: No space left on"),
        ("text.moses tokenize en <utf16", 1, "error: standard input is not UTF-8 at byte 0 of line 1\n"),
        ("text.moses tokenize en <long | head -n 1", 141, "A dog sees it .\n"),
        ("text.marked_up_text lines größe", 0, "Größe\u2028 ist.\n"),
    ],
)
def test_standard_streams(folder, command, code, output):
    """A full one ends in one line, a closed pipe in none; and text has other letters than the locale."""
    (folder / "long").write_text("A dog sees it.\n" * 20000)
    (folder / "größe").write_text("Größe\u2028 ist.\n", encoding="utf-8")
    shell = f"cd {folder}; set -o pipefail; LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 {sys.executable} -m"
    result = run("bash", "-c", f"{shell} rdrop_tools.{command}", check=False)
    assert result.returncode == code
    assert result.stdout.startswith(output)
    assert result.stdout.count("\n") == 1


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
    """Regression: it ended in a traceback."""
    for name in [package, *(name for name in sys.modules if name.startswith(f"{package}."))]:
        monkeypatch.setitem(sys.modules, name, None)
    assert call_here(script, "--help").code == 0
    install = f"source .venv/bin/activate, or pip install -e '.[{extra}]'\n"
    message = f"{package} is not installed here: in the clone, {install}"
    assert_refused(script, arguments.split(), message, folder)


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
