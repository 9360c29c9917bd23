"""rdrop_tools/text/own_corpus.py: a corpus in every form that is taken, what is held out, told, refused."""

import random

import pytest
from bad_input import assert_refused, call_here
from own_corpora import german_english, write_csv, write_jsonl, write_lines

from rdrop_tools.text.own_corpus import Corpus

LANGS = ("de", "en")
PAIRS = list(dict.fromkeys(german_english(60, seed=1)))


def call(*arguments):
    result = call_here("own_corpus", *arguments, "--langs", *LANGS)
    assert result.code == 0, result.err
    return result.out


def read(folder, split):
    sides = [(folder / f"{split}.{lang}").read_text(encoding="utf-8").split("\n")[:-1] for lang in LANGS]
    return list(zip(*sides, strict=True))


def tsv(path, row):
    path.write_text("".join(row.format(*pair) for pair in PAIRS), encoding="utf-8")
    return path


FORMS = {  # what is written to a folder, and how it is named
    "lines": lambda folder: [write_lines(folder, "train", LANGS, PAIRS)],
    "compressed": lambda folder: [write_lines(folder, "train", LANGS, PAIRS, compressed=True)],
    "tsv": lambda folder: [tsv(folder / "mine.tsv", "{}\t{}\n")],
    "tatoeba": lambda folder: [tsv(folder / "mine.tsv", "1\t{}\t2\t{}\n"), "--columns", "2", "4"],
    "names": lambda folder: [write_csv(folder / "train.csv", LANGS, PAIRS).parent],
    "other names": lambda folder: [write_csv(folder / "a.csv", ("X", "Y"), PAIRS), "--columns", "X", "Y"],
    "jsonl": lambda folder: [write_jsonl(folder / "train.jsonl", LANGS, PAIRS)],
    "datasets": lambda folder: [write_jsonl(folder / "train.jsonl", LANGS, PAIRS, wrapped=True)],
}


def test_every_form_is_the_same_corpus(tmp_path):
    outputs = {}
    for form, write in FORMS.items():
        folder = tmp_path / form
        folder.mkdir()
        arguments = write(folder)
        said = call(*arguments, "--out", folder / "out"), call(*arguments)
        outputs[form] = *said, read(folder / "out", "train"), read(folder / "out", "valid")
    for form in FORMS:
        assert outputs[form] == outputs["lines"], form


def test_held_out_pairs_are_in_no_other_split(tmp_path):
    """A pair with a source, or a target, that is held out is taken out of train."""
    pairs = PAIRS * 2 + [(source, f"{target} !") for source, target in PAIRS]
    random.Random(1).shuffle(pairs)
    write_lines(tmp_path, "train", LANGS, [("", "empty"), *pairs, ("leer", " ")])
    out = call(tmp_path, "--out", tmp_path / "out", "--heldout", "5")
    train, valid = (read(tmp_path / "out", split) for split in ("train", "valid"))
    assert len(valid) == 5
    assert set(valid) < set(pairs)
    for side in (0, 1):
        assert not {pair[side] for pair in train} & {pair[side] for pair in valid}
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


def test_notes_are_told_once_and_not_beside_an_error(tmp_path):
    """A table beside the one that is named is told too."""
    for name in ("mine.tsv", "dev.tsv", "dev.py"):
        (tmp_path / name).write_text("de\ten\n" + "".join(f"a{n}\tb{n}\n" for n in range(9)))
    arguments = [tmp_path / "mine.tsv", "--langs", *LANGS]
    note = f"{tmp_path / 'mine.tsv'} has names of splits that are not taken: dev.tsv\n"
    assert call_here("own_corpus", *arguments).err == note
    assert call_here("own_corpus", *arguments, "--out", tmp_path / "out").err == note
    assert call_here("own_corpus", *arguments, "--out", tmp_path / "out", "--quiet").err == ""


def test_the_names_of_flores_are_taken(tmp_path):
    """Regression: dev.de and dev.en lay there, and another valid was held out of train."""
    for name, count in (("train", 9), ("dev", 2), ("devtest", 3)):
        write_lines(tmp_path, name, LANGS, PAIRS[:count])
    for path in [*tmp_path.glob("dev*.??")]:
        path.rename(tmp_path / f"{path.suffix[1:]}.{path.stem}")
    corpus = Corpus(tmp_path, list(LANGS), None)
    counts = {split: len(list(corpus.read(split))) for split in corpus.texts}
    assert counts == {"train": 9, "valid": 2, "test": 3}
    assert not corpus.notes


@pytest.mark.parametrize(
    ("files", "arguments", "message"),
    [
        ({}, "absent", "cannot read absent: No such file"),
        ({"train.de": "", "train.en": ""}, "in", "in/train.de and in/train.en have no text"),
        ({"train.de": "a\n", "train.en": "a\n"}, "in", "have the same text on both sides"),
        ({"train.de": "", "train.de.gz": ""}, "in", "in/train.de and in/train.de.gz are both there"),
        ({"train.tsv": "a\tb\n", "train.csv": "a,b\n"}, "in", "are both there: leave one form of train"),
        ({"train.txt": "a\n"}, "in/train.txt", "in/train.txt must be a folder, or a table that ends in .tsv"),
        ({"train.tsv": "a\tb\tc\n"}, "in", "in/train.tsv has no columns de and en in its first line, which"),
        ({"train.csv": "en,de\nHi, you,hallo du\n"}, "in", "in/train.csv, line 2 has 3 columns, and the fir"),
        ({"train.csv": "source,target\na,b\n"}, "in", "line 1: are 'source' and 'target' names of columns?"),
        ({"train.csv": "de,en,de\na,b,c\n"}, "in", "in/train.csv names the column de 2 times in its fi"),
        ({"train.tsv": "de\ten\ta\tb\n" * 9}, "in", "in/train.tsv: all 8 pairs are de and en"),
        ({"tst13.de": "a\n", "Train.de": ""}, "in", "and no table train; it has Train.de, tst13.de"),
        ({"train.tsv": "a\tb\n"}, "in --columns 1 3", "line 1 has 2 columns, 3 are needed"),
        ({"train.csv": 'de,en\n"a,b\nc,d\n'}, "in", "in/train.csv, line 2: no CSV: unexpected end of data ("),
        ({"train.csv": 'de,en\n"a,b\nc,"d"\n'}, "in", "line 2: no CSV: ',' expected after '\"' (line 3); is"),
        ({"train.jsonl": "{\n"}, "in", "in/train.jsonl, line 1: no JSON: "),
        ({"train.jsonl": '{"de": "a", "en": "\\ud800"}\n'}, "in", "train.jsonl, line 1 is no text"),
        ({"train.de": "a\nb\n", "train.en": "x\ny\n"}, "in", "in has 2 pairs with text, more than 2 are"),
        ({"train.de": "a\n", "train.en": "x\n"}, "in --columns 1 2", "is no table: it has no columns to"),
        ({"train.de": "a\nb\nc\n", "train.en": "x\nx\nx\n"}, "in --out out", "no pairs are left for train"),
        ({"train.de": "a\nb\nc\n", "train.en": "x\ny\nz\n"}, "in --out in", "would be written over"),
    ],
)
def test_refused(tmp_path, files, arguments, message):
    (tmp_path / "in").mkdir()
    for name, content in files.items():
        (tmp_path / "in" / name).write_text(content)
    assert_refused("own_corpus", [*arguments.split(), "--langs", *LANGS], message, tmp_path)


TSV = "train.tsv"
SAID = '"So," sagte er.\t"Thus," he said.\n"Ja."\t"Yes."\n'
QUOTED = [tuple(pair.split("\t")) for pair in SAID.splitlines()]  # no quoting: this is what the lines are
CSV = {"train.csv": "de,en\na,b\n"}
OTHERS = ("newstest.de", "dev.csv", "val.csv", "valid.py", "contest.de")  # val.csv is taken


@pytest.mark.parametrize(
    ("files", "columns", "pairs", "note"),
    [
        ({TSV: "de\ten\na\tb\n\n"}, None, [("a", "b")], ""),
        ({"train.csv": "EN,De\nb,a\n"}, None, [("a", "b")], ""),
        ({"train.csv": 'i, en, de\n1, "b, c", a\n'}, None, [("a", "b, c")], ""),
        ({TSV: "a.\tb.\n"}, None, [("a.", "b.")], "first column is taken for de, the second for en, and lin"),
        ({TSV: "a\tb\n"}, ("2", "1"), [("b", "a")], "the first line is taken for a pair, as columns are num"),
        ({TSV: 'de\ten\na\t"b ""c"""\n'}, None, [("a", 'b "c"')], "in quotes (where they must be), which ar"),
        ({TSV: 'de\ten\na\t"b, c"\n'}, None, [("a", "b, c")], "cells are in quotes (as by Excel), which are"),
        ({TSV: '"de"\t"en"\n"a"\t"b"\n"d"\t"e"\n'}, None, [("a", "b"), ("d", "e")], "(all), which are"),
        ({TSV: 'i\tde\ten\n1\t"a"\t"b"\n'}, None, [("a", "b")], "cells are in quotes (all but numbers), whi"),
        ({TSV: "de\ten\n" + SAID}, None, QUOTED, "2 cells begin and end with"),
        ({"train.csv": 'de,en\na,"b\nc"\n'}, None, [("a", "b c")], "1 rows go over several lines, as cells "),
        (CSV | dict.fromkeys(OTHERS, ""), None, [("a", "b")], "not taken: dev.csv, newstest.de, valid.py"),
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
    assert [note in said for said in corpus.notes] == [True] * bool(note)
