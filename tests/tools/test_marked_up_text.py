"""rdrop_tools/text/marked_up_text.py: the sentences of IWSLT and WMT, wherever they stand in the mark-up."""

import pytest
from bad_input import call_here

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


WMT21 = """<?xml version='1.0' encoding='utf-8'?>
<dataset id="newstest2021"><collection>
<doc origlang="en" id="a">
<src lang="en"><p><seg id="1">One &lt;b&gt;.</seg> <seg id="2">Two.</seg></p></src>
<ref lang="de" translator="A"><p><seg id="1">Eins A.</seg><seg id="2">Zwei A.</seg></p></ref>
<ref lang="de" translator="B"><p><seg id="1">Eins B.</seg></p><p><seg id="2">Zwei <src> B.</seg></p></ref>
<hyp system="S" language="de"><p><seg id="1">Eins S.</seg><seg id="2">Zwei S.</seg></p></hyp>
</doc>
<doc origlang="en" id="b" testsuite="t"><src lang="en"><p><seg id="1">Suite.</seg></p></src></doc>
</collection></dataset>
"""
TWO_REFERENCES = """<refset setid="x" refid="r1"><doc docid="1"><seg id="1">Eins.</seg></doc></refset>
<refset setid="x" refid="r2"><doc docid="1"><seg id="1">One.</seg></doc></refset>
"""
TWO_SYSTEMS = """<DOC docid="1" sysid="A"><seg id="1">Eins.</seg></DOC>
<DOC docid="1" sysid="B"><seg id="1">Uno.</seg></DOC>
"""
# A document of each system, in turn; the source is in the file too.
IN_TURN = "".join(
    f'<DOC docid="{n}" sysid="{system}"><seg id="1">{system}{n}.</seg></DOC>'
    for n in (1, 2)
    for system in "AB"
)
WITH_SOURCE = f"""<srcset><DOC docid="1"><seg id="1">S1.</seg></DOC>
<DOC docid="2"><seg id="1">S2.</seg></DOC></srcset>
<refset>{IN_TURN}</refset>
"""


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        (WMT21, "--side src", ["One <b>.", "Two."]),
        (WMT21, "--translator A", ["Eins A.", "Zwei A."]),
        (WMT21, "--side ref --translator B", ["Eins B.", "Zwei <src> B."]),
        (WMT21, "--side hyp", ["Eins S.", "Zwei S."]),
        (WMT21, "--system S", ["Eins S.", "Zwei S."]),
        (TWO_REFERENCES, "--translator r2", ["One."]),
        (TWO_REFERENCES.replace(' refid="r1"', "").replace(' refid="r2"', ""), "--translator 2", ["One."]),
        (TWO_SYSTEMS, "--system B", ["Uno."]),
        (f"<tstset>{TWO_SYSTEMS}</tstset>", "--system A", ["Eins."]),
        (WITH_SOURCE, "--translator A", ["A1.", "A2."]),
        (WITH_SOURCE, "--translator B", ["B1.", "B2."]),
        (WITH_SOURCE, "--side src", ["S1.", "S2."]),
    ],
)
def test_a_side_of_a_file_with_several(tmp_path, text, options, expected):
    """Regression: source, references and systems were printed one after the other, as one side; two systems
    of a set with its source were refused as having other segments, as documents were counted over both.
    """
    (tmp_path / "test.xml").write_text(text)
    assert marked_up("segments", tmp_path / "test.xml", *options.split()) == expected
