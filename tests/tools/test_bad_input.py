"""Bad input to rdrop_tools/text and rdrop_tools/scoring: a table, each row refused in one line.

A row is the script, its arguments in the folder of write_files, and a part of the message. Before there was
one way in, a quarter of such calls ended in a traceback, and some emptied the user's files.
"""

import shlex

import pytest
from bad_files import write_files
from bad_input import assert_refused

pytest.importorskip("rouge_score")
BPE = "rdrop_tools/text/apply_bpe.py"
TOKENISE = "rdrop_tools/text/tokenize_corpus.py"
PIECES = "rdrop_tools/text/sentencepiece_encode.py"
HELP = "rdrop_tools/text/libreoffice_corpus.py"
MARKED = "rdrop_tools/text/marked_up_text.py"
MOSES = "rdrop_tools/text/moses.py"
BLEU = "rdrop_tools/scoring/score_translation.py"
ROUGE = "rdrop_tools/scoring/score_rouge.py"
LANGS = "--langs de en"
SCORED = "--hyp hyp --hyp-tok hyp --ref ref --ref-tok ref"

NOT_UTF8 = "is not UTF-8 at byte"
COUNTS = "do not have the same number of lines"
OVER = "would be written over"
FULL = "cannot write /dev/full: No space left on device"

CASES = [
    # BPE codes that are none
    (BPE, f"absent in out {LANGS}", "cannot read absent: No such file or directory"),
    (BPE, f"in in out {LANGS}", "cannot read in: Is a directory"),
    (BPE, f"empty in out {LANGS}", "empty has no BPE codes"),
    (BPE, f"ref in out {LANGS}", "ref is not of subword-nmt learn-bpe: line 1"),
    (BPE, f"in/header in out {LANGS}", "in/header has no BPE codes"),
    (BPE, f"in/version in out {LANGS}", "in/version is not of subword-nmt learn-bpe: line 1"),
    (BPE, f"in/one_piece in out {LANGS}", "in/one_piece is not of subword-nmt learn-bpe: line 3"),
    (BPE, f"utf16 in out {LANGS}", f"utf16 {NOT_UTF8} 0, line 1"),
    (BPE, f"latin1 in out {LANGS}", f"latin1 {NOT_UTF8} 12, line 2"),
    (BPE, f"loop in out {LANGS}", "cannot read loop: Too many levels of symbolic links"),
    # folders, languages, splits
    (BPE, f"codes absent out {LANGS}", "absent is not a folder"),
    (BPE, f"codes ref out {LANGS}", "ref is not a folder"),
    (BPE, f"codes in ref {LANGS}", "cannot write in ref: ref is not a folder"),
    (BPE, f"codes in ref/out {LANGS}", "cannot write ref/out: Not a directory"),
    (BPE, f"codes in /dev/null/out {LANGS}", "cannot write /dev/null/out: Not a directory"),
    (BPE, f"codes in loop {LANGS}", "cannot write loop: Too many levels of symbolic links"),
    (BPE, f"codes in in {LANGS}", f"in/train.de {OVER} in/train.de"),
    (BPE, f"codes in link {LANGS}", f"link/train.de {OVER} in/train.de"),
    (BPE, f"link/train.de in out/../in {LANGS} --splits train", "train.de is not of subword-nmt"),
    (BPE, "codes in out --langs en en", "--langs: en is named twice"),
    (BPE, "codes in out --langs de en --langs en de", "argument --langs: is given twice"),
    (BPE, "codes in out --langs de", "--langs: expected 2 arguments"),
    (BPE, "codes in out --langs de fr", "cannot read in/train.fr: No such file"),
    (BPE, f"codes in out {LANGS} --splits test train test", "--splits: test is named twice"),
    (BPE, f"codes in out {LANGS} --splits train absent", "cannot read in/absent.de: No such file"),
    (BPE, f"codes in out {LANGS} --splits train short", f"in/short.de and in/short.en {COUNTS}: 3 and 2"),
    (BPE, f"codes in out {LANGS} --splits train bad", f"in/bad.en {NOT_UTF8} 12, line 2"),
    (BPE, f"codes in folders {LANGS}", "cannot write folders/train.de: Is a directory"),
    (BPE, f"codes in out {LANGS} --max-tokens 1 --splits train", "in/train.de and in/train.en are left"),
    (BPE, f"codes in out {LANGS} --splits train none", "no pairs of in/none.de and in/none.en are left"),
    # numbers
    (BPE, f"codes in out {LANGS} --workers 0", "--workers: must be at least 1, got 0"),
    (BPE, f"codes in out {LANGS} --workers -1", "--workers: must be at least 1, got -1"),
    (BPE, f"codes in out {LANGS} --workers two", "--workers: must be an integer, got 'two'"),
    (BPE, f"codes in out {LANGS} --workers 1e3", "--workers: must be an integer, got '1e3'"),
    (BPE, f"codes in out {LANGS} --max-tokens 0", "--max-tokens: must be at least 1, got 0"),
    (BPE, f"codes in out {LANGS} --max-tokens -3", "--max-tokens: must be at least 1, got -3"),
    (BPE, f"codes in out {LANGS} --max-tokens 9 --ratio 0", "--ratio: must be a number of at least 1"),
    (BPE, f"codes in out {LANGS} --max-tokens 9 --ratio nan", "--ratio: must be a number of at least 1"),
    (BPE, f"codes in out {LANGS} --ratio 2", "--ratio: goes with --max-tokens only"),
    (BPE, f"codes in out {LANGS} --worker $'two\nlines' --no-such", "--workers: must be an integer"),
    # tokenisation
    (TOKENISE, f"out train {LANGS} --pair absent ref", "cannot read absent: No such file"),
    (TOKENISE, f"out train {LANGS} --pair in ref", "cannot read in: Is a directory"),
    (TOKENISE, f"out train {LANGS} --pair loop ref", "cannot read loop: Too many levels"),
    (TOKENISE, f"out train {LANGS}", "the following arguments are required: --pair"),
    (TOKENISE, f"out train {LANGS} --pair ref", "--pair: expected 2 arguments"),
    (TOKENISE, f"out train {LANGS} --pair ref latin1", f"latin1 {NOT_UTF8} 12, line 2"),
    (TOKENISE, f"out train {LANGS} --pair utf16 ref", f"utf16 {NOT_UTF8} 0, line 1"),
    (TOKENISE, f"out train {LANGS} --pair plain.gz ref", "plain.gz is damaged, or not compressed by gzip"),
    (TOKENISE, f"out train {LANGS} --pair cut.gz ref", "cut.gz is damaged, or not compressed by gzip"),
    (TOKENISE, f"out train {LANGS} --pair wrong.gz ref", "wrong.gz is damaged, or not compressed by gzip"),
    (TOKENISE, f"out train {LANGS} --pair ref short", f"ref and short {COUNTS}: 3 and 2"),
    (TOKENISE, f"out train {LANGS} --pair ref hyp --pair short ref", f"short and ref {COUNTS}: 2 and 3"),
    (TOKENISE, f"out train {LANGS} --pair empty empty", "no pairs of empty and empty are left"),
    (TOKENISE, f"out train {LANGS} --pair ref ref --max-tokens 1", "no pairs of ref and ref are left"),
    (TOKENISE, f"out train {LANGS} --pair ref ref --max-tokens 0", "--max-tokens: must be at least 1"),
    (TOKENISE, f"out train {LANGS} --pair ref ref --workers 0", "--workers: must be at least 1"),
    (TOKENISE, "out train --langs en en --pair ref ref", "--langs: en is named twice"),
    (TOKENISE, f"ref train {LANGS} --pair ref ref", "cannot write in ref: ref is not a folder"),
    (TOKENISE, f"made train {LANGS} --pair made/tok/train.de ref", f"made/tok/train.de {OVER}"),
    (TOKENISE, f"made train {LANGS} --keep-raw --pair ref made/raw/train.en", f"made/raw/train.en {OVER}"),
    (TOKENISE, f"folders ../train {LANGS} --pair ref ref", "cannot write folders/tok/../train.de: Is a"),
    # SentencePiece
    (PIECES, f"in in {LANGS}", f"in/train.de {OVER} in/train.de"),
    (PIECES, f"absent out {LANGS}", "absent is not a folder"),
    (PIECES, "in out --langs en en", "--langs: en is named twice"),
    (PIECES, "in out --langs de fr", "cannot read in/train.fr: No such file"),
    (PIECES, f"in out {LANGS} --splits absent", "cannot read in/absent.de: No such file"),
    (PIECES, f"in out {LANGS} --splits train train", "--splits: train is named twice"),
    (PIECES, f"in out {LANGS} --vocab-size 0", "--vocab-size: must be at least 1, got 0"),
    (PIECES, f"in out {LANGS} --vocab-size 99999999999", "--vocab-size: must be at most 1000000"),
    (PIECES, f"in out {LANGS} --vocab-size 3", "--vocab-size: 3 pieces cannot be learnt: Vocabulary size is"),
    (PIECES, f"in out {LANGS} --vocab-size 99999", "Please set it to a value <="),
    (PIECES, f"in out {LANGS} --vocab-size 60 --splits train short", f"in/short.en {COUNTS}: 3 and 2"),
    (PIECES, f"in out {LANGS} --vocab-size 60 --splits train bad", f"in/bad.en {NOT_UTF8} 12, line 2"),
    (
        PIECES,
        f"blank out {LANGS} --splits train",
        "blank/train.de and blank/train.en have no text to learn from",
    ),
    (PIECES, f"in folders {LANGS} --vocab-size 60", "cannot write folders/train.de: Is a directory"),
    (PIECES, "models out --langs de model", "cannot read models/valid.de: No such file"),
    (PIECES, "in ref --langs de en", "cannot write in ref: ref is not a folder"),
    # the LibreOffice help
    (HELP, "absent out", "absent is not a folder"),
    (HELP, "help out --source fr", "help/fr is not a folder of help pages"),
    (HELP, "help out --target loop", "help/loop is not a folder of help pages"),
    (HELP, "help out --target de", "de and de are both written as .de"),
    (HELP, "help out --source en-GB", "en-GB and en-US are both written as .en"),
    (HELP, "help out --heldout 0", "--heldout: must be at least 1, got 0"),
    (HELP, "help out --heldout -1", "--heldout: must be at least 1, got -1"),
    (HELP, "help out --seed -1", "--seed: must be at least 0, got -1"),
    (HELP, "help out", "help has 30 pairs, more than 2000 are needed"),
    (HELP, "help ref --heldout 5", "cannot write in ref: ref is not a folder"),
    (HELP, "help folders --heldout 5", "cannot write folders/train.de: Is a directory"),
    (HELP, "help out --source bad", f"help/bad/page.html {NOT_UTF8}"),
    (HELP, "help out --source blank", "help has 0 pairs, more than 2000 are needed"),
    # marked-up text
    (MARKED, "segments absent", "cannot read absent: No such file"),
    (MARKED, "segments in", "cannot read in: Is a directory"),
    (MARKED, "words ref", "invalid choice: 'words'"),
    (MARKED, "segments", "the following arguments are required: files"),
    (MARKED, "segments ref", "ref has no segments: is it whole?"),
    (MARKED, "segments empty", "empty has no segments: is it whole?"),
    (MARKED, "lines ref empty", "empty has no lines: is it whole?"),
    (MARKED, "segments test.sgm cut.sgm", "cut.sgm has <seg 2 times, and 1 whole segments"),
    (MARKED, "segments nested.sgm", "nested.sgm has <seg 2 times, and 1 whole segments"),
    (MARKED, "segments test.sgm refs.sgm", "refs.sgm has ref '1', ref '2': choose one of them with --side"),
    (MARKED, "segments --side ref refs.sgm", "refs.sgm has ref '1', ref '2': choose one of them with --side"),
    (MARKED, "segments --side src test.sgm", "test.sgm has text of no side: choose one of them with --side"),
    (
        MARKED,
        "segments --side ref less.xml",
        "less.xml does not have the same segments in ref",
    ),
    (MARKED, "lines --side src hyp", "--side, --translator and --system go with segments"),
    (MARKED, "segments latin1", f"latin1 {NOT_UTF8} 12, line 2"),
    (MARKED, "segments test.sgm utf16", f"utf16 {NOT_UTF8} 0, line 1"),
    (MARKED, "lines plain.gz", "plain.gz is damaged, or not compressed by gzip"),
    # Moses
    (MOSES, "tokenise en", "invalid choice: 'tokenise'"),
    (MOSES, "tokenize", "the following arguments are required: lang"),
    (MOSES, "detokenize en --lowercase", "detokenize takes none of the tokeniser's options"),
    # translations to score
    (
        BLEU,
        "--hyp absent --hyp-tok hyp --ref ref --ref-tok ref",
        "argument --hyp: cannot read absent: No such",
    ),
    (BLEU, "--hyp hyp --hyp-tok in --ref ref --ref-tok ref", "argument --hyp-tok: cannot read in: Is a dir"),
    (BLEU, "--hyp hyp --hyp-tok hyp --ref loop --ref-tok ref", "cannot read loop: Too many levels"),
    (BLEU, "--hyp hyp --hyp-tok hyp --ref ref", "--hyp-tok and --ref-tok: tokenised BLEU needs both"),
    (BLEU, "--hyp hyp --ref ref --ref-tok ref", "--hyp-tok and --ref-tok: tokenised BLEU needs both"),
    (BLEU, "--hyp hyp --ref ref --baseline hyp hyp", "--baseline: expected HYP ("),
    (BLEU, "--hyp hyp", "the following arguments are required: --ref"),
    (BLEU, "--hyp latin1 --hyp-tok hyp --ref ref --ref-tok ref", f"latin1 {NOT_UTF8} 12, line 2"),
    (BLEU, "--hyp utf16 --hyp-tok hyp --ref ref --ref-tok ref", f"utf16 {NOT_UTF8} 0, line 1"),
    (BLEU, "--hyp short --hyp-tok hyp --ref ref --ref-tok ref", f"ref and short {COUNTS}: 3 and 2"),
    (BLEU, "--hyp empty --hyp-tok hyp --ref ref --ref-tok ref", f"ref and empty {COUNTS}: 3 and 0"),
    (BLEU, "--hyp plain.gz --hyp-tok hyp --ref ref --ref-tok ref", "plain.gz is damaged, or not compressed"),
    (BLEU, "--hyp empty --hyp-tok empty --ref empty --ref-tok empty", "empty has no text"),
    (BLEU, "--hyp hyp --hyp-tok hyp --ref blank.txt --ref-tok ref", "blank.txt has no text"),
    (BLEU, f"{SCORED} --baseline hyp absent", "argument --baseline: cannot read absent"),
    (BLEU, f"{SCORED} --baseline hyp", "--baseline: expected HYP and HYP_TOK"),
    (BLEU, f"{SCORED} --baseline hyp short", f"ref and short {COUNTS}: 3 and 2"),
    (BLEU, f"{SCORED} --baseline hyp hyp --baseline ref ref", "argument --baseline: is given twice"),
    (BLEU, f"{SCORED} --hyp ref", "argument --hyp: is given twice"),
    (BLEU, f"{SCORED} --ref hyp", "--ref has 2 files and --ref-tok 1: give as many"),
    (BLEU, f"{SCORED} --ref short --ref-tok hyp", f"ref and short {COUNTS}: 3 and 2"),
    (BLEU, f"{SCORED} --samples 0", "--samples: must be at least 1, got 0"),
    (BLEU, f"{SCORED} --samples -5", "--samples: must be at least 1, got -5"),
    (BLEU, f"{SCORED} --samples 99999999999", "--samples: must be at most 1000000"),
    (BLEU, f"{SCORED} --split-compounds maybe", "--split-compounds: invalid choice: 'maybe'"),
    (BLEU, f"{SCORED} --tokenize moses", "--tokenize: invalid choice: 'moses'"),
    (BLEU, f"{SCORED} --json in", "argument --json: cannot write in: Is a directory"),
    (BLEU, f"{SCORED} --json absent/scores.json", "cannot write absent/scores.json: "),
    (BLEU, f"{SCORED} --json ref/scores.json", "cannot write ref/scores.json: Not a directory"),
    (BLEU, f"{SCORED} --json loop", "cannot write loop: Too many levels of symbolic links"),
    (BLEU, f"{SCORED} --json hyp", f"hyp {OVER} hyp: choose another output"),
    (BLEU, f"{SCORED} --json ./ref", f"ref {OVER} ref: choose another output"),
    (BLEU, f"{SCORED} --json linked", f"linked {OVER} hyp: choose another output"),
    (BLEU, f"{SCORED} --baseline hyp short --json short", f"short {OVER} short"),
    (BLEU, f"{SCORED} --json /dev/full", FULL),
    # summaries to score
    (ROUGE, "ref absent", "cannot read absent: No such file"),
    (ROUGE, "in hyp", "cannot read in: Is a directory"),
    (ROUGE, "ref", "the following arguments are required: hypothesis"),
    (ROUGE, "ref latin1", f"latin1 {NOT_UTF8} 12, line 2"),
    (ROUGE, "utf16 hyp", f"utf16 {NOT_UTF8} 0, line 1"),
    (ROUGE, "ref short", f"ref and short {COUNTS}: 3 and 2"),
    (ROUGE, "ref empty", f"ref and empty {COUNTS}: 3 and 0"),
    (ROUGE, "empty empty", "empty is empty"),
    (ROUGE, "blank.txt hyp", "blank.txt has an empty reference in line 1"),
    (ROUGE, "ref hyp --baseline hyp --baseline hyp", "argument --baseline: is given twice"),
    (ROUGE, "ref hyp --baseline short", f"ref and short {COUNTS}: 3 and 2"),
    (ROUGE, "ref hyp --baseline in", "argument --baseline: cannot read in: Is a directory"),
    (ROUGE, "ref hyp --resamples 0", "--resamples: must be at least 1, got 0"),
    (ROUGE, "ref hyp --resamples 2000000", "--resamples: must be at most 1000000, got 2000000"),
    (ROUGE, "ref hyp --seed -1", "--seed: must be at least 0, got -1"),
    (ROUGE, "ref hyp --seed 1.5", "--seed: must be an integer, got '1.5'"),
    (ROUGE, "ref hyp --tokenizer words", "--tokenizer: invalid choice: 'words'"),
    (ROUGE, "russian russian", "100.0% of the letters are none of a-z"),
    (ROUGE, "ref hyp --json hyp", f"hyp {OVER} hyp"),
    (ROUGE, "ref hyp --json linked", f"linked {OVER} hyp"),
    (ROUGE, "ref hyp --json in", "cannot write in: Is a directory"),
    (ROUGE, "ref hyp --json absent/rouge.json", "cannot write absent/rouge.json: "),
    (ROUGE, "ref hyp --json /dev/full", FULL),
    (ROUGE, "plain.gz hyp", "plain.gz is damaged, or not compressed by gzip"),
]


@pytest.fixture
def folder(tmp_path):
    return write_files(tmp_path)


@pytest.mark.parametrize(("script", "arguments", "message"), CASES)
def test_refused_in_one_line(folder, script, arguments, message):
    """Tracebacks (38 of 140 such calls), emptied inputs, outputs of half the work, silently other results."""
    assert_refused(script, shlex.split(arguments), message, folder)
