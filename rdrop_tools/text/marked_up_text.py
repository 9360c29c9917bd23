"""Take the sentences out of the marked-up files of IWSLT and WMT, one a line, unchanged otherwise.

lines     an IWSLT training file: a sentence a line, between lines about the talk. It is no mark-up proper:
          a & or < in it may be just that.
segments  an IWSLT or WMT test set (.xml, .sgm): <seg id="1"> A sentence. </seg>, anywhere on the lines.
          A file with several sides (WMT since 2021: source, references, systems) is refused.

In both, a character reference (&amp; &#39;) is the character, so that training and test agree whichever
has them. fairseq's scripts leave them in, and Moses' tokeniser makes three tokens of each.
"""

import html
import re
import sys
from pathlib import Path

from rdrop_tools import cli
from rdrop_tools.lines import iter_lines, read_lines

NOT_TEXT = re.compile("<(url|talkid|keywords)>")
TAGS = re.compile("</?(title|description)>")
REFERENCE = re.compile(r"&(#\d+|#x[\da-f]+|[a-z][a-z\d]*);", re.IGNORECASE)
BREAK = re.compile(r"\s*\n\s*")
BEGIN = re.compile(r"<seg\b", re.IGNORECASE)
SEGMENT = re.compile(r"<seg\b[^>]*>(.*?)</seg\s*>", re.IGNORECASE | re.DOTALL)
SETS = re.compile(r"<(?:src|ref|tst)set\b[^>]*>", re.IGNORECASE)  # a side of SGML, all of it
SIDES = re.compile(r"<(?:src|ref|hyp)\b[^>]*>|\bsysid=[^\s>]*", re.IGNORECASE)  # in every document


def unescape(text: str) -> str:
    """Whole references only: ``html.unescape`` takes the ``&not`` of ``AT&notes`` for one."""
    return BREAK.sub(" ", REFERENCE.sub(lambda match: html.unescape(match[0]), text).strip())


def segments(path: Path) -> list[str]:
    text = "\n".join(read_lines(path))
    found = SEGMENT.findall(text)
    begun = len(BEGIN.findall(text))
    if begun != len(found):
        raise cli.InputError(
            f"{path} has <seg {begun} times, and {len(found)} whole segments: is it damaged?"
        )
    around = SEGMENT.sub("", text)
    for sides in (SETS.findall(around), sorted({*SIDES.findall(around)})):
        if len(sides) > 1:
            raise cli.InputError(
                f"{path} has several sides, {', '.join(sides)}: take one (sacrebleu --echo has each)"
            )
    return found


def lines(path: Path) -> list[str]:
    return [TAGS.sub("", line) for line in iter_lines(path) if not NOT_TEXT.search(line)]


KINDS = {"lines": lines, "segments": segments}


def main() -> None:
    parser = cli.Parser(__doc__)
    parser.add_argument("kind", choices=list(KINDS))
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
