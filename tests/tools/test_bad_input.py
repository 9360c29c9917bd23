"""Bad input to rdrop_tools and benchmarks: tables, a row for each way in which it is refused, in one line.

A row has a call in the folder of write_files, and a part of the message. What makes a file no text is in
test_lines.py, what makes it no corpus in test_own_corpus.py, no checkpoint in test_averaging.py.
"""

from pathlib import Path

import pytest
from bad_files import LANGS, SCORED, write_files
from bad_input import assert_refused

from rdrop_tools import cli

pytest.importorskip("fairseq")
pytest.importorskip("rouge_score")

TYPES = [  # what a type takes; what it refuses, and how
    (cli.integer(1), "1 20 1000000", "two 1e3 1.5 nan 0 -1", "must be an integer of at least 1, got {!r}"),
    (cli.number(1), "1 1.5 1e300", "0 0.99 -1 nan inf x", "must be a number of at least 1, got {!r}"),
    (cli.number(0, 0.5), "0 .5 1e-9", "0.6 -1 nan x", "must be a number from 0 to 0.5, got {!r}"),
    (cli.input_file, "hyp linked in/train.de /dev/null", "absent in/absent", "cannot read {}: No such file"),
    (cli.input_file, "", "in . link", "cannot read {}: Is a directory"),
    (cli.input_folder, "in link .", "absent ref", "{} is not a folder"),
    (cli.output_file, "hyp in/new linked /dev/full", "in . link", "cannot write {}: Is a directory"),
    (cli.output_file, "", "absent/x absent/in/x", "cannot write {}: .* is not a folder"),
    (cli.output_folder, "in link new new/x .", "ref ref/x", "cannot write in {}: .*ref is not a folder"),
]


def test_what_a_type_takes_and_refuses(tmp_path, monkeypatch):
    """It looks only: what it accepts is made when the work begins."""
    monkeypatch.chdir(write_files(tmp_path))
    for convert, accepted, refused, message in TYPES:
        for text in accepted.split():
            value = convert(text)
            assert value == (Path(text) if isinstance(value, Path) else float(text))
        for text in refused.split():
            with pytest.raises(cli.InputError, match=message.format(text)):
                convert(text)
    assert not (tmp_path / "new").exists()


ARGUMENTS = [
    ("apply_bpe --workers two\nlines", "--workers: must be an integer of at least 1, got 'two"),
    ("tokenize_corpus --pair ref absent", "--pair: cannot read absent: No such file or directory"),
    ("score_translation --json absent/x", "--json: cannot write absent/x: "),
    ("benchmark_loss --device gpu", "--device: must be cpu or cuda, got 'gpu'"),
    ("benchmark_loss --label-smoothing 1", "--label-smoothing: must be a number from 0 to 0.99, got '1'"),
]
CALLS = [
    (f"apply_bpe empty in out {LANGS}", "empty is not of subword-nmt learn-bpe"),
    (f"apply_bpe codes in in {LANGS}", "in/train.de would be written over in/train.de"),
    ("apply_bpe codes in out --langs de fr", "cannot read in/train.fr: No such file"),
    (f"apply_bpe codes in out {LANGS} --max-tokens 1 --splits train", "in/train.en are left"),
    (f"tokenize_corpus out train {LANGS} --pair empty empty", "no pairs of empty and empty are left"),
    (f"sentencepiece_encode in out {LANGS} --vocab-size 3", "3 pieces cannot be learnt: "),
    (f"sentencepiece_encode blank out {LANGS} --splits train", "blank/train.en have no text to learn from"),
    ("libreoffice_corpus help out --source fr", "help/fr is not a folder"),
    ("libreoffice_corpus help out", "help has 30 pairs, more than 2000 are needed"),
    ("marked_up_text segments test.sgm cut.sgm", "cut.sgm has <seg 2 times, and 1 whole segments"),
    ("marked_up_text segments refs.sgm", "refs.sgm has ref '1', ref '2': choose one of them with"),
    ("marked_up_text segments --side ref less.xml", "less.xml does not have the same segments in ref"),
    ("score_translation --hyp hyp --hyp-tok hyp --ref ref", "tokenised BLEU needs both"),
    ("score_translation --hyp hyp --ref ref --baseline hyp hyp", "--baseline: expected HYP ("),
    ("score_translation --hyp empty --ref empty", "empty has no text"),
    (f"score_translation {SCORED} --ref hyp", "--ref has 2 files and --ref-tok 1: give as many"),
    ("score_rouge empty empty", "empty is empty"),
    ("score_rouge blank.txt hyp", "blank.txt has an empty reference in line 1"),
    ("score_rouge ref hyp --json linked", "linked would be written over hyp"),
    ("plot_training log --x time", "no log line has what --x time needs"),
    ("plot_training log -o a.x", "a.x: Format 'x' is not supported (supported formats: "),
    ("plot_training log -o log", "log would be written over log"),
]


@pytest.mark.parametrize(
    ("call", "message", "code"), [(*row, 2) for row in ARGUMENTS] + [(*row, None) for row in CALLS]
)
def test_refused_in_one_line(tmp_path, call, message, code):
    """Regression: such calls ended in tracebacks, emptied inputs or outputs of half the work."""
    script, *arguments = call.split(" ")
    assert_refused(script, arguments, message, write_files(tmp_path), code=code)
