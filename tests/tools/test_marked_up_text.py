"""rdrop_tools/text/marked_up_text.py: the sentences of IWSLT and WMT, wherever they stand in the mark-up."""

import pytest
from bad_input import assert_refused, call_here

# Tags and character references, or what looks like them, are in a text as they are, or escaped.
AS_IT_IS = ['R&D is <i>it</i> & "more"', "3 < 4"]
ESCAPED = ["R&amp;D is <i>it</i> &amp; &quot;more&quot;", "3 &lt; 4"]
TALK = "<url>http://talk</url>\n<title>{}</title>\n{}\n"
SGML = """\ufeff<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE mteval SYSTEM "mteval-xml-v1.3.dtd">
<refset><doc docid="1" sysid="ref"><title>News & "views"</title>\r
<seg id="1"> R&D &amp; AT&amp;T &quot;x&quot; &#39;y&#x27; &lt;b&gt; Q&A &not &un; </seg><seg id="2">2</seg>
<SEG ID=3>over
   two lines </SEG>\r
</doc><doc docid="2" sysid="ref">
<seg id="4"></seg> <seg id="5">a < b > c, 3<4, <src & so> d</ref> &amp;amp; e&#10;f\u2028g</seg>
</doc></refset>
"""
SENTENCES = [
    "R&D & AT&T \"x\" 'y' <b> Q&A &not &un;",
    "2",
    "over two lines",
    "",
    "a < b > c, 3<4, <src & so> d</ref> &amp; e f\u2028g",
]


@pytest.mark.parametrize(
    ("text", "kind", "sentences"),
    [
        (TALK.format(*AS_IT_IS), "lines", AS_IT_IS),
        (TALK.format(*ESCAPED), "lines", AS_IT_IS),
        (SGML, "segments", SENTENCES),
    ],
)
def test_the_sentences_of_a_file(tmp_path, text, kind, sentences):
    """Regression: &amp; stayed; the second segment of a line, and one over two lines, were lost silently."""
    (tmp_path / "text").write_text(text, encoding="utf-8", newline="\n")
    result = call_here("marked_up_text", kind, tmp_path / "text")
    assert result == (0, "".join(f"{sentence}\n" for sentence in sentences), "")


@pytest.mark.parametrize(
    ("text", "sides"),
    [
        ("<src lang='en'>{0}</src><ref lang='de'>{0}</ref>", "<ref lang='de'>, <src lang='en'>"),
        ("<refset>{0}</refset><refset>{0}</refset>", "<refset>, <refset>"),
        ('<DOC sysid="A">{0}</DOC><DOC sysid="B">{0}</DOC>', 'sysid="A", sysid="B"'),
    ],
)
def test_several_sides_are_refused(tmp_path, text, sides):
    """Regression: source, references and systems were printed one after the other, as one side."""
    (tmp_path / "text").write_text(text.format('<seg id="1">One.</seg>'))
    assert_refused("marked_up_text", ["segments", "text"], f"text has several sides, {sides}: take", tmp_path)
