"""rdrop_tools/text/marked_up_text.py: the sentences of IWSLT and WMT, wherever they stand in the mark-up."""

import pytest
from bad_input import call_here

# Tags and character references, or what looks like them, are in a text as they are, or escaped.
AS_IT_IS = ['R&D is <i>it</i> & "more"', "3 < 4"]
ESCAPED = ["R&amp;D is <i>it</i> &amp; &quot;more&quot;", "3 &lt; 4"]
TALK = "<url>http://talk</url>\n<title>{}</title>\n{}\n"
SGML = """\ufeff<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE mteval SYSTEM "mteval-xml-v1.3.dtd">
<refset><doc docid="1"><title>News & "views"</title>\r
<seg id="1"> R&D &amp; AT&amp;T &quot;x&quot; &#39;y&#x27; &lt;b&gt; Q&A &not &un; </seg><seg id="2">2</seg>
<SEG ID=3>over
   two lines </SEG>\r
<seg id="4"></seg> <seg id="5">a < b > c, 3<4, <laughs & so> d</laughs> &amp;amp; e&#10;f\u2028g</seg>
</doc></refset>
"""
SENTENCES = [
    "R&D & AT&T \"x\" 'y' <b> Q&A &not &un;",
    "2",
    "over two lines",
    "",
    "a < b > c, 3<4, <laughs & so> d</laughs> &amp; e f\u2028g",
]


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
TWO_REFERENCES = """<refset setid="x"{}><doc docid="1"><seg id="1">Eins.</seg></doc></refset>
<refset setid="x"{}><doc docid="1"><seg id="1">One.</seg></doc></refset>
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
DOCUMENT = '<doc docid="1"><seg id="1">One.</seg></doc>'

# What stands in a file, how it is called, what comes out.
FOUND = [
    (TALK.format(*AS_IT_IS), "lines", AS_IT_IS),
    (TALK.format(*ESCAPED), "lines", AS_IT_IS),
    (SGML, "segments", SENTENCES),
    (WMT21, "segments --side src", ["One <b>.", "Two."]),
    (WMT21, "segments --translator A", ["Eins A.", "Zwei A."]),
    (WMT21, "segments --side ref --translator B", ["Eins B.", "Zwei <src> B."]),
    (WMT21, "segments --side hyp", ["Eins S.", "Zwei S."]),
    (TWO_REFERENCES.format(' refid="r1"', ' refid="r2"'), "segments --translator r2", ["One."]),
    (TWO_REFERENCES.format("", ""), "segments --translator 2", ["One."]),
    (TWO_SYSTEMS, "segments --system B", ["Uno."]),
    (f"<tstset>{TWO_SYSTEMS}</tstset>", "segments --system A", ["Eins."]),
    (WITH_SOURCE, "segments --translator B", ["B1.", "B2."]),
    (f"<srcset>{DOCUMENT}</srcset><refset>{DOCUMENT}</refset>", "segments --side ref", ["One."]),
]


@pytest.mark.parametrize(("text", "call", "sentences"), FOUND)
def test_the_sentences_of_a_file(tmp_path, text, call, sentences):
    """Regression: &amp; stayed; the second segment of a line, and one over two lines, were lost silently;
    source, references and systems were printed one after the other, as one side; two systems of a set with
    its source were refused as having other segments, as documents were counted over both.
    """
    (tmp_path / "text").write_text(text, encoding="utf-8", newline="\n")
    kind, *options = call.split()
    result = call_here("marked_up_text", kind, tmp_path / "text", *options)
    assert result == (0, "".join(f"{sentence}\n" for sentence in sentences), "")
