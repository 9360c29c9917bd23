"""Types of the Python scripts' arguments: what each takes and refuses, and which argument has which."""

from pathlib import Path

import pytest
from bad_files import write_files
from bad_input import assert_refused

from rdrop_tools import cli
from rdrop_tools.training.plot_training import picture_file

pytest.importorskip("fairseq")


@pytest.fixture
def folder(tmp_path):
    return write_files(tmp_path)


@pytest.mark.parametrize(
    ("convert", "accepted", "refused"),
    [
        (
            cli.integer(1),
            "1 20 1000000",
            {"two 1e3 1.5 nan": "must be an integer, got {!r}", "0 -1": "must be at least 1, got {}"},
        ),
        (cli.integer(0, 20), "0 20", {"21 99999999999": "must be at most 20, got {}"}),
        (cli.number(1), "1 1.5 1e300", {"0 0.99 -1 nan inf x": "must be a number of at least 1, got {!r}"}),
        (cli.number(0, 0.5), "0 .5 1e-9", {"0.6 -1 nan x": "must be a number from 0 to 0.5, got {!r}"}),
        (
            cli.input_file,
            "hyp linked in/train.de /dev/null",
            {
                "absent help/absent": "cannot read {}: No such file",
                "in . link": "cannot read {}: Is a directory",
                "loop": "cannot read {}: Too many levels of symbolic links",
                "ref/x": "cannot read {}: Not a directory",
            },
        ),
        (cli.input_folder, "in link .", {"absent ref loop": "{} is not a folder"}),
        (
            cli.output_file,
            "hyp in/new linked /dev/full",
            {
                "in . link": "cannot write {}: Is a directory",
                "absent/x absent/in/x": "cannot write {}: .* is not a folder",
                "loop": "cannot write {}: Too many levels of symbolic links",
                "ref/x": "cannot write {}: Not a directory",
            },
        ),
        (
            cli.output_folder,
            "in link new new/x .",
            {
                "ref": "cannot write in {0}: {0} is not a folder",
                "ref/x /dev/null/x": "cannot write {}: Not a directory",
                "loop": "cannot write {}: Too many levels of symbolic links",
            },
        ),
        (picture_file, "a.png a.PDF in/a.svg a", {"hyp.x a.pgf /dev/a.txt": "{} must end in .png, .pdf"}),
    ],
)
def test_what_a_type_takes_and_refuses(folder, monkeypatch, convert, accepted, refused):
    monkeypatch.chdir(folder)
    for text in accepted.split():
        value = convert(text)
        assert value == (Path(text) if isinstance(value, Path) else float(text))
    for texts, message in refused.items():
        for text in texts.split():
            with pytest.raises(cli.InputError, match=message.format(text)):
                convert(text)


def test_none_of_them_makes_a_file(folder):
    """A type looks only: what it accepts is made when the work begins."""
    cli.output_folder(folder / "new")
    cli.output_file(folder / "new.txt")
    assert not list(folder.glob("new*"))


NO_FILE = "cannot read absent: No such file or directory"
NO_OUTPUT = "cannot write absent/x: "

REFUSED = [  # a row for every kind of argument, and for every script
    ("apply_bpe", "--workers 0", "--workers: must be at least 1, got 0"),
    ("apply_bpe", "--langs de", "--langs: expected 2 arguments"),
    ("apply_bpe", "absent", f"codes: {NO_FILE}"),
    ("tokenize_corpus", "--pair ref absent", f"--pair: {NO_FILE}"),
    ("sentencepiece_encode", "--vocab-size 1000001", "--vocab-size: must be at most 1000000, got 1000001"),
    ("sentencepiece_encode", "in ref", "out_dir: cannot write in ref: ref is not a folder"),
    ("libreoffice_corpus", "absent", "help_dir: absent is not a folder"),
    ("own_corpus", "--out ref", "--out: cannot write in ref: ref is not a folder"),
    ("moses", "tokenise", "action: invalid choice: 'tokenise'"),
    ("score_translation", "--json absent/x", f"--json: {NO_OUTPUT}"),
    ("score_rouge", "--baseline absent", f"--baseline: {NO_FILE}"),
    ("average_checkpoints", "in absent/x", f"out: {NO_OUTPUT}"),
    ("plot_training", "--out a.x", "--out: a.x must end in .png, .pdf, .svg, .jpg"),
    ("reached", "absent", f"log: {NO_FILE}"),
    ("benchmark_loss", "--device gpu", "--device: must be cpu or cuda, got 'gpu'"),
    ("benchmark_step", "--dropout 1", "--dropout: must be a number from 0 to 0.99, got '1'"),
    ("profile_step", "--trace absent/x", f"--trace: {NO_OUTPUT}"),
    ("measure_gpu", "new 59", "seconds: must be at least 60, got 59"),
]


@pytest.mark.parametrize(("script", "arguments", "message"), REFUSED)
def test_the_types_of_the_arguments(folder, script, arguments, message):
    assert_refused(script, arguments.split(), message, folder, code=2)


def test_a_value_of_two_lines_is_told_in_one(folder):
    assert_refused("apply_bpe", ["--workers", "two\nlines"], "must be an integer, got 'two", folder, code=2)
