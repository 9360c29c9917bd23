#!/usr/bin/env python3
"""Take the sentences out of the marked-up files of IWSLT and WMT, one a line, unchanged otherwise.

lines     an IWSLT training file: a sentence a line, between lines about the talk. It is no mark-up proper:
          a & or < in it may be just that.
segments  an IWSLT or WMT test set (.xml, .sgm): <seg id="1"> A sentence. </seg>, anywhere on the lines.

In both, a character reference (&amp; &#39;) is the character, so that training and test agree whichever
has them. fairseq's scripts leave them in, and Moses' tokeniser makes three tokens of each.
"""

import html
import re
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from scripts.common import cli
from scripts.common.lines import iter_lines, read_lines

NOT_TEXT = re.compile("<(url|talkid|keywords)>")
TAGS = re.compile("</?(title|description)>")
REFERENCE = re.compile(r"&(#\d+|#x[\da-f]+|[a-z][a-z\d]*);", re.IGNORECASE)
SEGMENT = re.compile(r"<seg\b", re.IGNORECASE)
BREAK = re.compile(r"\s*\n\s*")


def unescape(text: str) -> str:
    """Whole references only: ``html.unescape`` takes the ``&not`` of ``AT&notes`` for one."""
    return BREAK.sub(" ", REFERENCE.sub(lambda match: html.unescape(match[0]), text).strip())


class Segments(HTMLParser):
    """Collects the ``texts`` of whole segments, as they stand in the file; reads SGML, XML and HTML alike."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.parts: list[str] | None = None  # of the segment that is open
        self.feed(text.replace("&", "&amp;"))  # the parser would take &not for a reference
        self.close()

    def handle_data(self, data: str) -> None:
        if self.parts is not None:
            self.parts.append(data)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "seg":
            self.parts = []
        else:
            self.handle_data(
                (self.get_starttag_text() or "").replace("&amp;", "&")
            )  # a < in the text, perhaps

    def handle_endtag(self, tag: str) -> None:
        if tag != "seg":
            self.handle_data(f"</{tag}>")
        elif self.parts is not None:
            self.texts.append("".join(self.parts))
            self.parts = None


def segments(path: Path) -> list[str]:
    text = "\n".join(read_lines(path))
    texts = Segments(text).texts
    begun = len(SEGMENT.findall(text))
    if begun != len(texts):
        raise cli.InputError(
            f"{path} has <seg {begun} times, and {len(texts)} whole segments: is it damaged?"
        )
    return texts


def lines(path: Path) -> list[str]:
    return [TAGS.sub("", line) for line in iter_lines(path) if not NOT_TEXT.search(line)]


KINDS: dict[str, Callable[[Path], list[str]]] = {"lines": lines, "segments": segments}


def main() -> None:
    parser = cli.Parser(__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("files", type=cli.input_file, nargs="+")
    args = parser.parse_args()
    sentences: list[str] = []
    for path in args.files:
        found = KINDS[args.kind](path)
        if not found:
            raise cli.InputError(f"{path} has no {args.kind}: is it whole?")
        sentences += map(unescape, found)
    sys.stdout.writelines(f"{sentence}\n" for sentence in sentences)


if __name__ == "__main__":
    cli.run(main)
