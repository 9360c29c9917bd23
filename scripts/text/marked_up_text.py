#!/usr/bin/env python3
"""Take the sentences out of the marked-up files of IWSLT and WMT, one a line, unchanged otherwise.

lines     an IWSLT training file: a sentence a line, between lines about the talk
segments  an IWSLT or WMT test set (.xml, .sgm): <seg id="1"> A sentence. </seg>
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from scripts.text.corpus import open_text

NOT_TEXT = re.compile("<(url|talkid|keywords)>")
TAGS = re.compile("</?(title|description)>")
SEGMENT = re.compile(r"<seg id=[^>]*>\s*(.*?)\s*</seg>")


def sentences(kind: str, path: Path) -> Iterator[str]:
    with open_text(path) as file:
        for line in file:
            if kind == "segments":
                if segment := SEGMENT.search(line):
                    yield segment.group(1)
            elif not NOT_TEXT.search(line):
                yield TAGS.sub("", line).strip("\r\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=["lines", "segments"])
    parser.add_argument("files", type=Path, nargs="+")
    args = parser.parse_args()
    for path in args.files:
        count = 0
        for sentence in sentences(args.kind, path):
            print(sentence)
            count += 1
        if not count:
            sys.exit(f"error: {path} has no {args.kind}: is it whole?")


if __name__ == "__main__":
    main()
