"""rdrop_tools/text/own_corpus.py: a corpus in every form that is taken, what is held out, told, refused."""

import random

import pytest
from bad_input import assert_refused, call_here
from conftest import sentences
from own_corpora import write_jsonl, write_lines

from rdrop_tools.lines import read_pairs
from rdrop_tools.text.own_corpus import Corpus

LANGS = ("de", "en")
PAIRS = list(dict.fromkeys(sentences(60, seed=1)))


def call(*arguments):
    result = call_here("own_corpus", *arguments, "--langs", *LANGS)
    assert result.code == 0, result.err
    return result.out


def read(folder, split):
    return list(read_pairs(*(folder / f"{split}.{lang}" for lang in LANGS)))


def test_held_out_pairs_are_in_no_other_split(tmp_path):
    """A pair with a source, or a target, that is held out is taken out of train."""
    pairs = PAIRS * 2 + [(source, f"{target} !") for source, target in PAIRS]
    random.Random(1).shuffle(pairs)
    write_lines(tmp_path, "train", LANGS, [("", "empty"), *pairs, ("leer", " ")])
    out = call(tmp_path, "--out", tmp_path / "out", "--heldout", "5")
    train, valid = (read(tmp_path / "out", split) for split in ("train", "valid"))
    assert len(valid) == 5
    assert set(valid) < set(pairs)
    left = [p for p in pairs if all(p[i] not in {v[i] for v in valid} for i in (0, 1))]
    assert train == left
    repeated = len(pairs) - len(train) - 5
    assert out == (
        f"valid: 5 pairs, train: {len(train)} pairs; "
        f"left out of train: 2 with an empty side, and {repeated} that repeat a side of valid\n"
    )
    assert not (tmp_path / "out" / "test.de").exists()


def test_splits_that_are_there_are_kept(tmp_path):
    """A test set keeps every line, as its translations have to."""
    write_lines(tmp_path, "train", LANGS, PAIRS)
    write_lines(tmp_path, "val", LANGS, [PAIRS[0], ("", "x")])
    write_jsonl(tmp_path / "test.jsonl", LANGS, [PAIRS[0], ("", "x"), ("a\u2028b", " c \t d")])
    out = call(tmp_path, "--out", tmp_path / "out")
    assert out.endswith("left out of train: 0 with an empty side\n")
    assert read(tmp_path / "out", "train") == PAIRS
    assert read(tmp_path / "out", "valid") == PAIRS[:1]
    assert read(tmp_path / "out", "test") == [PAIRS[0], ("", "x"), ("a b", "c d")]
    call(tmp_path, "--out", tmp_path / "out", "--splits", "train", "val", "test", "--no-empty")
    assert read(tmp_path / "out", "val") == PAIRS[:1]
    assert read(tmp_path / "out", "test") == [PAIRS[0], ("a b", "c d")]


def test_one_table_whose_notes_are_not_told_twice(tmp_path):
    """The call that checks a corpus tells them, and not the one that writes it."""
    (tmp_path / "mine.tsv").write_text("".join(f"a {n}.\tb {n}.\n" for n in range(9)))
    arguments = [tmp_path / "mine.tsv", "--langs", *LANGS]
    note = f"{tmp_path}/mine.tsv: the first line is taken for a pair, de: a 0., en: b 0.\n"
    assert call_here("own_corpus", *arguments).err == note
    assert call_here("own_corpus", *arguments, "--out", tmp_path / "out", "--quiet").err == ""
    assert len(read(tmp_path / "out", "train")) == 8


TSV, CSV, JSONL = "train.tsv", "train.csv", "train.jsonl"
LINES = {"train.de": "a\nb\nc\n", "train.en": "x\ny\nz\n"}


@pytest.mark.parametrize(
    ("files", "arguments", "message"),
    [
        ({}, "absent", "absent must be a folder, or a table that ends in .tsv, .csv, .jsonl"),
        ({"train.de": "", "train.en": ""}, "in", "in/train.de and in/train.en have no text"),
        ({"train.de": "a\n", "train.en": "a\n"}, "in", "have the same text on both sides"),
        ({TSV: "a\tb\n", CSV: "a,b\n"}, "in", "in has train.tsv and train.csv: expected train.de and train."),
        (
            {CSV: "de,en,de\na,b,c\n"},
            "in",
            "in/train.csv, line 1: de and en do not name two of its 3 columns",
        ),
        ({TSV: "source\ttarget\na\tb\n"}, "in", "line 1: are 'source' and 'target' names of columns? Then"),
        ({TSV: "a\tb\n"}, "in --columns 1 3", "line 1: 1 and 3 do not name two of its 2 columns"),
        ({CSV: "en,de\nHi, you,hallo du\n"}, "in", "in/train.csv, line 2 has 3 columns, and the first"),
        ({CSV: 'de,en\n"a,b\nc,d\n'}, "in", "in/train.csv, line 2: no CSV: unexpected end of data; is there"),
        ({"tst13.de": "a\n", "Train.de": ""}, "in", "and no table train; there is Train.de, tst13.de"),
        ({JSONL: '{"de": "a", "en": "\\ud800"}\n'}, "in", "train.jsonl, line 1: no JSON of text: "),
        ({JSONL: '{"de": "a"}\n'}, "in", "train.jsonl, line 1: no texts with the keys de and en"),
        (LINES, "in --heldout 2", "in has 3 pairs with text, more than 4 are needed for a valid of 2"),
        (LINES | {"train.en": "x\nx\nx\n"}, "in --out out", "no pairs are left for train"),
        (LINES, "in --out in", "would be written over"),
    ],
)
def test_refused(tmp_path, files, arguments, message):
    (tmp_path / "in").mkdir()
    for name, content in files.items():
        (tmp_path / "in" / name).write_text(content)
    assert_refused("own_corpus", [*arguments.split(), "--langs", *LANGS], message, tmp_path)


SAID = '"So," sagte er.\t"Thus," he said.\n"Ja."\t"Yes."\n'
UNQUOTED = [tuple(pair.split("\t")) for pair in SAID.splitlines()]  # this is what the lines are


@pytest.mark.parametrize(
    ("files", "columns", "pairs", "note"),
    [
        (LINES, None, [("a", "x"), ("b", "y"), ("c", "z")], ""),
        ({"de.train": "a\n", "en.train": "b\n"}, None, [("a", "b")], ""),
        ({JSONL: '{"en": "b", "de": "a"}\n'}, None, [("a", "b")], ""),
        ({JSONL: '{"translation": {"X": "a", "Y": "b"}}\n'}, ("X", "Y"), [("a", "b")], ""),
        ({TSV: "de\ten\na\tb\n\n"}, None, [("a", "b")], ""),
        ({TSV: "pt-BR\ten\na\tb\n"}, ("pt_BR", "en"), [("a", "b")], ""),
        ({TSV: "1\ta\t2\tb\n"}, ("2", "4"), [("a", "b")], "the first line is taken for a pair, de: a, en: b"),
        ({CSV: 'i, EN, De\n1, "b, c", a\n'}, None, [("a", "b, c")], ""),
        ({TSV: "a.\tb.\n"}, None, [("a.", "b.")], "the first line is taken for a pair, de: a., en: b."),
        ({TSV: 'de\ten\na\t"b ""c"""\n'}, None, [("a", 'b "c"')], "1 lines have cells in quotes, as CSV has"),
        (
            {TSV: '"de"\t"en"\n"a"\t"b\n\nc"\n'},
            None,
            [("a", "b c")],
            "2 lines have cells in quotes, as CSV has",
        ),
        ({TSV: "de\ten\n" + SAID}, None, UNQUOTED, "2 lines have cells that begin with a quote, which stays"),
        (
            {CSV: 'de,en\na,"b\nc"\n'},
            None,
            [("a", "b c")],
            "rows go over up to 2 lines, as cells in quotes may",
        ),
        (
            {CSV: "de,en\na,b\n", **dict.fromkeys(("newstest.de", "dev.csv", "val.csv", "contest.de"), "")},
            None,
            [("a", "b")],
            "not taken: dev.csv, newstest.de",
        ),
    ],
)
def test_what_was_taken_is_told(tmp_path, files, columns, pairs, note):
    """Regression: names of columns became a pair, quotes of a table stayed in the text, and a dev set was
    left lying there; nobody was told.
    """
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    corpus = Corpus(tmp_path, list(LANGS), columns)
    assert list(corpus.read("train")) == pairs
    assert note in " ".join(corpus.notes)
    assert bool(note) == bool(corpus.notes)
