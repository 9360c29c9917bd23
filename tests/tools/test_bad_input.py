"""Bad input to rdrop_tools/text and rdrop_tools/scoring: a table, each row refused in one line.

A row is the script, its arguments in the folder of write_files, and a part of the message. What the types of
the arguments refuse is in test_arguments.py, what makes a file no text in test_lines.py.
"""

import pytest
from bad_files import write_files
from bad_input import assert_refused

pytest.importorskip("rouge_score")
LANGS = "--langs de en"
SCORED = "--hyp hyp --hyp-tok hyp --ref ref --ref-tok ref"

NOT_UTF8 = "is not UTF-8 at byte"
COUNTS = "do not have the same number of lines"
OVER = "would be written over"
FULL = "cannot write /dev/full: No space left on device"

CASES = [
    # BPE codes that are none
    ("apply_bpe", f"empty in out {LANGS}", "empty has no BPE codes"),
    ("apply_bpe", f"ref in out {LANGS}", "ref is not of subword-nmt learn-bpe: line 1"),
    # BPE
    ("apply_bpe", f"codes in in {LANGS}", f"in/train.de {OVER} in/train.de"),
    ("apply_bpe", "codes in out --langs de de", f"out/train.de {OVER} out/train.de"),
    ("apply_bpe", "codes in out --langs de fr", "cannot read in/train.fr: No such file"),
    ("apply_bpe", f"codes in out {LANGS} --splits train short", f"in/short.en {COUNTS}: 3 and 2"),
    ("apply_bpe", f"codes in folders {LANGS}", "cannot write folders/train.de: Is a directory"),
    ("apply_bpe", f"codes in out {LANGS} --max-tokens 1 --splits train", "in/train.en are left"),
    # tokenisation
    ("tokenize_corpus", f"out train {LANGS} --pair empty empty", "no pairs of empty and empty are left"),
    ("tokenize_corpus", f"made train {LANGS} --pair made/tok/train.de ref", f"made/tok/train.de {OVER}"),
    # SentencePiece
    (
        "sentencepiece_encode",
        f"in out {LANGS} --vocab-size 3",
        "3 pieces cannot be learnt: Vocabulary size is",
    ),
    (
        "sentencepiece_encode",
        f"blank out {LANGS} --splits train",
        "blank/train.en have no text to learn from",
    ),
    # the LibreOffice help
    ("libreoffice_corpus", "help out --source fr", "help/fr is not a folder of help pages"),
    ("libreoffice_corpus", "help out", "help has 30 pairs, more than 2000 are needed"),
    # marked-up text
    ("marked_up_text", "lines ref empty", "empty has no lines: is it whole?"),
    ("marked_up_text", "segments test.sgm cut.sgm", "cut.sgm has <seg 2 times, and 1 whole segments"),
    # Moses
    ("moses", "detokenize en --lowercase", "detokenize takes none of the tokeniser's options"),
    # translations to score
    ("score_translation", "--hyp hyp --hyp-tok hyp --ref ref", "tokenised BLEU needs both"),
    ("score_translation", "--hyp hyp --ref ref --baseline hyp hyp", "--baseline: expected HYP ("),
    ("score_translation", f"{SCORED} --baseline hyp short", f"ref and short {COUNTS}: 3 and 2"),
    ("score_translation", "--hyp empty --ref empty", "empty has no text"),
    ("score_translation", f"{SCORED} --ref hyp", "--ref has 2 files and --ref-tok 1: give as many"),
    ("score_translation", f"{SCORED} --json ./ref", f"ref {OVER} ref: choose another output"),
    ("score_translation", f"{SCORED} --json /dev/full", FULL),
    # summaries to score
    ("score_rouge", "empty empty", "empty is empty"),
    ("score_rouge", "blank.txt hyp", "blank.txt has an empty reference in line 1"),
    ("score_rouge", "russian russian", "100.0% of the letters are none of a-z"),
    ("score_rouge", "ref hyp --json linked", f"linked {OVER} hyp"),
]


@pytest.mark.parametrize(("script", "arguments", "message"), CASES)
def test_refused_in_one_line(tmp_path, script, arguments, message):
    """Regression: such calls ended in tracebacks, emptied inputs or outputs of half the work."""
    assert_refused(script, arguments.split(), message, write_files(tmp_path))
