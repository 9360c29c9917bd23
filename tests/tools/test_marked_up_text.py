"""rdrop_tools/text/marked_up_text.py: the sentences of IWSLT and WMT, wherever they stand in the mark-up."""

import pytest
from bad_input import assert_refused, call_here

SGML = """\ufeff<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE mteval SYSTEM "mteval-xml-v1.3.dtd">
<refset><doc docid="1"><title>News & "views"</title>\r
<seg id="1"> R&D &amp; AT&amp;T &quot;x&quot; &#39;y&#x27; &lt;b&gt; Q&A &not &un; </seg><seg id="2">2</seg>
<SEG ID=3>over
   two lines </SEG>\r
<seg id="4"></seg> <seg id="5">a < b > c, 3<4, <laughs> d</laughs> &amp;amp; e&#10;f\u2028g</seg>
</doc></refset>
"""
SENTENCES = [
    "R&D & AT&T \"x\" 'y' <b> Q&A &not &un;",
    "2",
    "over two lines",
    "",
    "a < b > c, 3<4, <laughs> d</laughs> &amp; e f\u2028g",
]


def marked_up(kind, *paths):
    result = call_here("marked_up_text", kind, *paths)
    assert result.code == 0, result.err
    return result.out.split("\n")[:-1]


def test_segments_wherever_they_stand(tmp_path):
    """Regression: &amp; stayed; the second segment of a line, and one over two lines, were lost silently."""
    (tmp_path / "test.sgm").write_text(SGML, encoding="utf-8", newline="\n")
    assert marked_up("segments", tmp_path / "test.sgm", tmp_path / "test.sgm") == SENTENCES * 2


def test_training_text_and_test_sets_agree(tmp_path):
    """The text is the same whether a file escapes its & or not."""
    raw = ['R&D is <i>it</i> & "more"', "3 < 4"]
    escaped = ["R&amp;D is <i>it</i> &amp; &quot;more&quot;", "3 &lt; 4"]
    for name, lines in (("raw", raw), ("escaped", escaped)):
        head = f"<url>http://talk</url>\n<title>{lines[0]}</title>\n"
        (tmp_path / f"{name}.tags").write_text(head + "".join(f"{line}\n" for line in lines[1:]))
        (tmp_path / f"{name}.xml").write_text("".join(f"<seg id='1'>{line}</seg>" for line in lines))
        assert marked_up("lines", tmp_path / f"{name}.tags") == raw
        assert marked_up("segments", tmp_path / f"{name}.xml") == raw


SEGMENTS = '<seg id="1">Eins.</seg>'


@pytest.mark.parametrize(
    ("text", "sides"),
    [
        # WMT since 2021, whose text may have a tag
        (
            f"<src>{SEGMENTS}</src><ref translator='A'><seg>Zwei <src> B.</seg></ref>",
            "<ref translator='A'>, <src>",
        ),
        (
            f"<ref translator='A'>{SEGMENTS}</ref>" * 2 + f"<ref translator='B'>{SEGMENTS}</ref>",
            "<ref translator=",
        ),
        # SGML: sets, or documents of systems in turn, with the source in the file or not
        (f"<refset>{SEGMENTS}</refset>" * 2, "<refset>, <refset>"),
        (
            f'<tstset><DOC sysid="A">{SEGMENTS}</DOC><DOC sysid="B">{SEGMENTS}</DOC></tstset>',
            'sysid="A", sysid=',
        ),
        (f"<srcset>{SEGMENTS}</srcset><refset>{SEGMENTS}{SEGMENTS}</refset>", "<srcset>, <refset>"),
    ],
)
def test_a_file_with_several_sides(tmp_path, text, sides):
    """Regression: source, references and systems were printed one after the other, as one side."""
    (tmp_path / "test.xml").write_text(text)
    assert_refused(
        "marked_up_text", ["segments", "test.xml"], f"test.xml has several sides, {sides}", tmp_path
    )


def test_documents_of_one_side(tmp_path):
    """A side has as many documents as it likes, and its text may have the tag of another."""
    (tmp_path / "test.xml").write_text(
        f'<srcset><doc sysid="s">{SEGMENTS}</doc><doc sysid="s"><seg>Zwei <ref> B.</seg></doc></srcset>'
    )
    assert marked_up("segments", tmp_path / "test.xml") == ["Eins.", "Zwei <ref> B."]
