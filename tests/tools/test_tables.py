"""rdrop_tools/text/tables.py: which columns are taken, where cells are in quotes, and what is told of it."""

import pytest

from rdrop_tools.text.own_corpus import Corpus

TSV = "train.tsv"
SAID = '"So," sagte er.\t"Thus," he said.\n"Ja."\t"Yes."\n'
QUOTED = [tuple(pair.split("\t")) for pair in SAID.splitlines()]  # no quoting: this is what the lines are
CSV = {"train.csv": "de,en\na,b\n"}


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
        (CSV | {"newstest.de": ""}, None, [("a", "b")], "not taken: newstest.de"),
        (CSV | {"dev.csv": "", "val.csv": ""}, None, [("a", "b")], "not taken: dev.csv"),
        (CSV | {"valid.py": "", "contest.de": ""}, None, [("a", "b")], "taken: valid.py"),
    ],
)
def test_what_was_taken_is_told(tmp_path, files, columns, pairs, note):
    """Regression: names of columns became a pair, quotes of a table stayed in the text, and a dev set was
    left lying there; nobody was told.
    """
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    corpus = Corpus(tmp_path, ["de", "en"], columns)
    assert list(corpus.read("train")) == pairs
    assert [note in said for said in corpus.notes] == [True] * bool(note)
