"""Take the sentences out of the marked-up files of IWSLT and WMT, one a line, unchanged otherwise.

lines     an IWSLT training file: a sentence a line, between lines about the talk. It is no mark-up proper:
          a & or < in it may be just that.
segments  an IWSLT or WMT test set (.xml, .sgm): <seg id="1"> A sentence. </seg>, anywhere on the lines. Where
          a file has several sides (WMT since 2021: source, references, systems), --side, --translator and
          --system choose. Documents of a test suite, which have no reference, are left out.

In both, a character reference (&amp; &#39;) is the character, so that training and test agree whichever
has them. fairseq's scripts leave them in, and Moses' tokeniser makes three tokens of each.
"""

import html
import re
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple

from rdrop_tools import cli
from rdrop_tools.lines import iter_lines, read_lines

NOT_TEXT = re.compile("<(url|talkid|keywords)>")
TAGS = re.compile("</?(title|description)>")
REFERENCE = re.compile(r"&(#\d+|#x[\da-f]+|[a-z][a-z\d]*);", re.IGNORECASE)
SEGMENT = re.compile(r"<seg\b", re.IGNORECASE)
# What is around segments: src, ref and hyp in XML since 2021, the sets in SGML.
SIDES = {"src": "src", "ref": "ref", "hyp": "hyp", "srcset": "src", "refset": "ref", "tstset": "hyp"}
BREAK = re.compile(r"\s*\n\s*")


def unescape(text: str) -> str:
    """Whole references only: ``html.unescape`` takes the ``&not`` of ``AT&notes`` for one."""
    return BREAK.sub(" ", REFERENCE.sub(lambda match: html.unescape(match[0]), text).strip())


class Segment(NamedTuple):
    side: str  # src, ref or hyp; empty where the file does not say
    name: str  # of the translator or the system
    place: tuple[int, str]  # the number of the document, among those of its side and name, and the id
    text: str


class Segments(HTMLParser):
    """Collects whole ``segments``, as they stand in the file; reads SGML, XML and HTML alike."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.segments: list[Segment] = []
        self.ended = 0  # segments, those of test suites too
        self.parts: list[str] | None = None  # of the segment that is open
        self.id = self.side = self.name = self.system = ""
        self.sets = dict.fromkeys(SIDES, 0)
        self.documents: Counter[str] = Counter()  # of each system, in the set that is open
        self.is_test_suite = False
        self.feed(text.replace("&", "&amp;"))  # the parser would take &not for a reference
        self.close()

    def handle_data(self, data: str) -> None:
        if self.parts is not None:
            self.parts.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "seg":
            self.parts, self.id = [], values.get("id", "")
        elif self.parts is not None:
            text = self.get_starttag_text() or ""  # after a < of the text, perhaps
            self.handle_data(text.replace("&amp;", "&"))
        elif tag == "doc":
            self.system, self.is_test_suite = values.get("sysid", ""), "testsuite" in values
            self.documents[self.system] += 1
        elif tag in SIDES:
            self.side = SIDES[tag]
            self.name = values.get("translator") or values.get("system") or values.get("refid") or ""
            if tag.endswith("set"):
                self.documents.clear()
                self.sets[tag] += 1
                if self.sets[tag] > 1 and not self.name:
                    self.name = str(self.sets[tag])

    def handle_endtag(self, tag: str) -> None:
        if tag == "seg" and self.parts is not None:
            side = self.side or ("hyp" if self.system else "")
            name = "" if side == "src" else f"{self.system} {self.name}".strip()
            if not self.is_test_suite:
                place = self.documents[self.system], self.id
                self.segments.append(Segment(side, name, place, "".join(self.parts)))
            self.ended += 1
            self.parts = None
        elif self.parts is not None:
            self.handle_data(f"</{tag}>")
        elif tag in SIDES:
            self.side = self.name = ""


def segments(path: Path, side: str | None, translator: str | None, system: str | None) -> list[str]:
    """The texts of a side, which has all of the segments that the source has, if it is in the file."""
    text = "\n".join(read_lines(path))
    parser = Segments(text)
    begun = len(SEGMENT.findall(text))
    if begun != parser.ended:
        raise cli.InputError(
            f"{path} has <seg {begun} times, and {parser.ended} whole segments: is it damaged?"
        )
    sides = list(dict.fromkeys((segment.side, segment.name) for segment in parser.segments))
    chosen = [
        one
        for one in sides
        if side in (None, one[0])
        and (translator is None or one == ("ref", translator))
        and (system is None or one == ("hyp", system))
    ]
    if len(chosen) != 1 and sides:
        there = ", ".join(f"{side} {name!r}" if name else side or "text of no side" for side, name in sides)
        raise cli.InputError(f"{path} has {there}: choose one of them with --side, --translator or --system")
    found = [segment for segment in parser.segments if (segment.side, segment.name) in chosen]
    source = [segment.place for segment in parser.segments if segment.side == "src"]
    if source and [segment.place for segment in found] != source:
        raise cli.InputError(
            f"{path} does not have the same segments in {' '.join(chosen[0])} as in its source: take another"
        )
    return [segment.text for segment in found]


def lines(path: Path) -> list[str]:
    return [TAGS.sub("", line) for line in iter_lines(path) if not NOT_TEXT.search(line)]


def main() -> None:
    parser = cli.Parser(__doc__)
    parser.add_argument("kind", choices=["lines", "segments"])
    parser.add_argument("files", type=cli.input_file, nargs="+")
    parser.add_argument(
        "--side", choices=["src", "ref", "hyp"], help="source, reference or a system's output"
    )
    parser.add_argument("--translator", help="of the reference, where there are several")
    parser.add_argument("--system", help="whose output, where there are several")
    args = parser.parse_args()
    choice = (args.side, args.translator, args.system)
    if args.kind == "lines" and choice != (None, None, None):
        parser.error("--side, --translator and --system go with segments")
    sentences: list[str] = []
    for path in args.files:
        found = lines(path) if args.kind == "lines" else segments(path, *choice)
        if not found:
            raise cli.InputError(f"{path} has no {args.kind}: is it whole?")
        sentences += map(unescape, found)
    sys.stdout.writelines(f"{sentence}\n" for sentence in sentences)


if __name__ == "__main__":
    cli.run(main)
