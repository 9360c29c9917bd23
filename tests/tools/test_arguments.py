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
    ("convert", "accepted", "refused", "message"),
    [
        (cli.integer(1), "1 20 1000000", "two 1e3 1.5 nan", "must be an integer, got {!r}"),
        (cli.integer(1), "", "0 -1", "must be at least 1, got {}"),
        (cli.integer(0, 20), "0 20", "21 99999999999", "must be at most 20, got {}"),
        (cli.number(1), "1 1.5 1e300", "0 0.99 -1 nan inf x", "must be a number of at least 1, got {!r}"),
        (cli.number(0, 0.5), "0 .5 1e-9", "0.6 -1 nan -inf x", "must be a number from 0 to 0.5, got {!r}"),
        (cli.input_file, "hyp linked in/train.de", "absent help/absent", "cannot read {}: No such file"),
        (cli.input_file, "/dev/null", "in . link", "cannot read {}: Is a directory"),
        (cli.input_file, "", "loop", "cannot read {}: Too many levels of symbolic links"),
        (cli.input_file, "", "ref/x", "cannot read {}: Not a directory"),
        (cli.input_folder, "in link .", "absent ref loop", "{} is not a folder"),
        (cli.output_file, "hyp in/new linked", "in link .", "cannot write {}: Is a directory"),
        (cli.output_file, "/dev/full", "absent/x absent/in/x", "cannot write {}: .* is not a folder"),
        (cli.output_file, "", "ref/x", "cannot write {}: Not a directory"),
        (cli.output_file, "", "loop", "cannot write {}: Too many levels of symbolic links"),
        (cli.output_folder, "in link new new/x .", "ref", "cannot write in {0}: {0} is not a folder"),
        (cli.output_folder, "", "ref/x /dev/null/x", "cannot write {}: Not a directory"),
        (cli.output_folder, "", "loop", "cannot write {}: Too many levels of symbolic links"),
        (picture_file, "a.png a.PDF in/a.svg a.jpg a", "hyp.x a.pgf /dev/a.txt", "{} must end in .png, .pdf"),
        (picture_file, "", "absent/a.png", "cannot write {}: .* is not a folder"),
    ],
)
def test_what_a_type_takes_and_refuses(folder, monkeypatch, convert, accepted, refused, message):
    monkeypatch.chdir(folder)
    for text in accepted.split():
        value = convert(text)
        assert value == (Path(text) if isinstance(value, Path) else float(text))
    for text in refused.split():
        with pytest.raises(cli.InputError, match=message.format(text)):
            convert(text)


def test_none_of_them_makes_a_file(folder):
    """A type looks only: what it accepts is made when the work begins."""
    cli.output_folder(folder / "new")
    cli.output_file(folder / "new.txt")
    assert not list(folder.glob("new*"))


DIGITS = "examples/classification/train_digits.py"
AT_LEAST_1 = "must be at least 1, got 0"
RATE = "must be a number from 0 to 0.99, got '1'"
NO_FILE = "cannot read absent: No such file or directory"
NO_OUTPUT = "cannot write absent/x: "
NO_PICTURE = "a.x must end in .png, .pdf, .svg, .jpg"

OPTIONS = [  # (script, options of one type, value, message)
    ("apply_bpe", "--workers --max-tokens", "0", AT_LEAST_1),
    ("apply_bpe", "--ratio", "0.9", "must be a number of at least 1, got '0.9'"),
    ("apply_bpe", "--target-codes", "absent", NO_FILE),
    ("apply_bpe", "--langs --splits", "de de", "de is named twice"),
    ("apply_bpe", "--langs", "de", "expected 2 arguments"),
    ("tokenize_corpus", "--workers --max-tokens", "0", AT_LEAST_1),
    ("tokenize_corpus", "--ratio", "0.9", "must be a number of at least 1, got '0.9'"),
    ("tokenize_corpus", "--langs", "en en", "en is named twice"),
    ("tokenize_corpus", "--pair", "ref absent", NO_FILE),
    ("tokenize_corpus", "--pair", "ref", "expected 2 arguments"),
    ("sentencepiece_encode", "--vocab-size", "0", AT_LEAST_1),
    ("sentencepiece_encode", "--vocab-size", "1000001", "must be at most 1000000, got 1000001"),
    ("sentencepiece_encode", "--langs --splits", "en en", "en is named twice"),
    ("libreoffice_corpus", "--heldout", "0", AT_LEAST_1),
    ("libreoffice_corpus", "--seed", "-1", "must be at least 0, got -1"),
    ("own_corpus", "--heldout", "0", AT_LEAST_1),
    ("own_corpus", "--splits", "train test test", "test is named twice"),
    ("own_corpus", "--out", "ref", "cannot write in ref: ref is not a folder"),
    ("marked_up_text", "--side", "source", "invalid choice: 'source'"),
    ("score_translation", "--hyp --hyp-tok --ref --ref-tok --baseline", "absent", NO_FILE),
    ("score_translation", "--json", "absent/x", NO_OUTPUT),
    ("score_translation", "--samples", "0", AT_LEAST_1),
    ("score_translation", "--samples", "1000001", "must be at most 1000000, got 1000001"),
    ("score_translation", "--split-compounds --tokenize", "maybe", "invalid choice: 'maybe'"),
    ("score_rouge", "--baseline", "absent", NO_FILE),
    ("score_rouge", "--json", "absent/x", NO_OUTPUT),
    ("score_rouge", "--resamples", "0", AT_LEAST_1),
    ("score_rouge", "--resamples", "1000001", "must be at most 1000000, got 1000001"),
    ("score_rouge", "--seed", "-1", "must be at least 0, got -1"),
    ("score_rouge", "--tokenizer --sentences", "words", "invalid choice: 'words'"),
    ("average_checkpoints", "--count", "0", AT_LEAST_1),
    ("average_checkpoints", "--which", "worst", "invalid choice: 'worst'"),
    ("plot_training", "--out", "a.x", NO_PICTURE),
    ("plot_training", "--x", "hours", "invalid choice: 'hours'"),
    ("benchmark_loss", "--repeats --tokens --dim --passes --chunk-size", "0", AT_LEAST_1),
    ("benchmark_loss", "--vocab", "2", "must be at least 3, got 2"),
    ("benchmark_loss", "--max-gib", "-1", "must be a number of at least 0, got '-1'"),
    ("benchmark_loss", "--label-smoothing", "1", RATE),
    ("benchmark_loss", "--device", "gpu", "must be cpu or cuda, got 'gpu'"),
    ("benchmark_loss", "--dtype", "int8", "invalid choice: 'int8'"),
    ("benchmark_loss", "--out", "absent/x", NO_OUTPUT),
    ("benchmark_step", "--repeats --layers --heads --ffn", "0", AT_LEAST_1),
    ("benchmark_step", "--vocab", "4", "must be at least 5, got 4"),
    ("benchmark_step", "--dim", "3", "must be at least 4, got 3"),
    ("benchmark_step", "--max-tokens", "31", "must be at least 32, got 31"),
    ("benchmark_step", "--length --passes", "1", "must be at least 2, got 1"),
    ("benchmark_step", "--pre-norm", "2", "must be at most 1, got 2"),
    ("benchmark_step", "--dropout", "1", RATE),
    ("benchmark_step", "--settings --dtype", "large", "invalid choice: 'large'"),
    ("benchmark_step", "--out", "absent/x", NO_OUTPUT),
    ("profile_step", "--settings --dtype", "large", "invalid choice: 'large'"),
    ("profile_step", "--trace", "absent/x", NO_OUTPUT),
    (DIGITS, "--epochs --hidden", "0", AT_LEAST_1),
    (DIGITS, "--seeds --passes", "1", "must be at least 2, got 1"),
    (DIGITS, "--train-size", "9", "must be at least 10, got 9"),
    (DIGITS, "--train-size", "1188", "must be at most 1187, got 1188"),
    (DIGITS, "--dropout", "1", RATE),
    (DIGITS, "--alpha", "2e30", "must be a number from 0 to 1e+30, got '2e30'"),
    (DIGITS, "--out", "absent/x", NO_OUTPUT),
]

POSITIONALS = [  # (script, arguments of which the last is bad, message)
    ("apply_bpe", "absent", f"codes: {NO_FILE}"),
    ("apply_bpe", "codes absent", "in_dir: absent is not a folder"),
    ("apply_bpe", "codes in ref", "out_dir: cannot write in ref: ref is not a folder"),
    ("tokenize_corpus", "ref", "out_dir: cannot write in ref: ref is not a folder"),
    ("sentencepiece_encode", "absent", "in_dir: absent is not a folder"),
    ("sentencepiece_encode", "in ref", "out_dir: cannot write in ref: ref is not a folder"),
    ("libreoffice_corpus", "absent", "help_dir: absent is not a folder"),
    ("libreoffice_corpus", "help ref", "out_dir: cannot write in ref: ref is not a folder"),
    ("marked_up_text", "words", "kind: invalid choice: 'words'"),
    ("marked_up_text", "lines absent", f"files: {NO_FILE}"),
    ("moses", "tokenise", "action: invalid choice: 'tokenise'"),
    ("score_rouge", "absent", f"reference: {NO_FILE}"),
    ("score_rouge", "ref absent", f"hypothesis: {NO_FILE}"),
    ("average_checkpoints", "absent", "folder: absent is not a folder"),
    ("average_checkpoints", "in absent/x", f"out: {NO_OUTPUT}"),
    ("plot_training", "absent", f"LOG: {NO_FILE}"),
    ("plot_training", "ref ref", "LOG: ref is named twice"),
    ("reached", "absent", f"log: {NO_FILE}"),
    ("measure_gpu", "ref", "out: cannot write in ref: ref is not a folder"),
    ("measure_gpu", "new 59", "seconds: must be at least 60, got 59"),
]


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        *(
            (script, f"{flag} {value}", f"{flag}: {message}")
            for script, flags, value, message in OPTIONS
            for flag in flags.split()
        ),
        *POSITIONALS,
        # the parser of all of them
        ("apply_bpe", "--langs de en --langs en de", "--langs: is given twice"),
        ("score_translation", "--samples 5 --samples 6", "--samples: is given twice"),
        ("apply_bpe", "--worker two --no-such", "--workers: must be an integer"),
    ],
)
def test_the_type_of_every_argument(folder, script, arguments, message):
    assert_refused(script, arguments.split(), message, folder, code=2)


def test_a_value_of_two_lines_is_told_in_one(folder):
    assert_refused("apply_bpe", ["--workers", "two\nlines"], "must be an integer, got 'two", folder, code=2)
