"""Sentence pairs from the LibreOffice help in English and another language, split into train, valid and test.

The pages of all languages have the same paths, and a paragraph has the same id on both sides of a
translation. Each such paragraph is a pair, less markup; kept are those that differ between the
languages, have 3 to 100 tokens (words and punctuation marks) on both sides and a length ratio
(source / target) of 0.5 to 2.2, once per target paragraph.
"""

import random
import re
from pathlib import Path

from lxml import etree, html

from rdrop_tools import cli
from rdrop_tools.lines import Pair, read_lines, replacing_all, write_rows
from rdrop_tools.text.corpus import prepare_outputs

MIN_TOKENS, MAX_TOKENS = 3, 100
MIN_RATIO, MAX_RATIO = 0.5, 2.2
TOKEN = re.compile(r"\w+|[^\w\s]")


def paragraphs(page: Path) -> dict[str, str]:
    """Text of every paragraph and heading of an HTML page by its id; an empty page has none."""
    text = "\n".join(read_lines(page)).encode()
    try:
        tree = html.document_fromstring(text, html.HTMLParser(encoding="utf-8"))
    except etree.ParserError:
        return {}
    nodes = tree.xpath("//*[starts-with(@id, 'par_id') or starts-with(@id, 'hd_id')]")
    return {node.get("id"): " ".join(node.text_content().split()) for node in nodes}


def is_good(source: str, target: str) -> bool:
    lengths = [len(TOKEN.findall(text)) for text in (source, target)]
    if source == target or not all(MIN_TOKENS <= length <= MAX_TOKENS for length in lengths):
        return False
    return MIN_RATIO <= lengths[0] / lengths[1] <= MAX_RATIO


def read_pairs(source_dir: Path, target_dir: Path) -> list[Pair]:
    """(source, target) in the order of the pages, without repeated targets."""
    pairs: dict[str, str] = {}
    for target_page in sorted(target_dir.rglob("*.html")):
        source_page = source_dir / target_page.relative_to(target_dir)
        if not source_page.exists():
            continue
        source = paragraphs(source_page)
        for key, target_text in paragraphs(target_page).items():
            source_text = source.get(key, "")
            if is_good(source_text, target_text):
                pairs.setdefault(target_text, source_text)
    return [(source_text, target_text) for target_text, source_text in pairs.items()]


def main() -> None:
    parser = cli.Parser(__doc__)
    parser.add_argument("help_dir", type=cli.input_folder, help="folder with a folder of pages per language")
    parser.add_argument(
        "out_dir", type=cli.output_folder, help="where to write {train,valid,test}.{SOURCE,en}"
    )
    parser.add_argument("--source", default="de", help="folder of the other language")
    parser.add_argument("--heldout", type=cli.integer(1), default=1000, help="pairs in valid and in test")
    args = parser.parse_args()

    pairs = read_pairs(*(cli.input_folder(args.help_dir / lang) for lang in (args.source, "en-US")))
    n = args.heldout
    if len(pairs) <= 2 * n:
        raise cli.InputError(
            f"{args.help_dir} has {len(pairs)} pairs, more than {2 * n} are needed (--heldout)"
        )
    random.Random(1).shuffle(pairs)
    splits = {"test": pairs[:n], "valid": pairs[n : 2 * n], "train": pairs[2 * n :]}
    paths = [args.out_dir / f"{split}.{lang}" for split in splits for lang in (args.source, "en")]
    prepare_outputs(paths, [])
    with replacing_all(paths) as files:
        for number, split in enumerate(splits.values()):
            write_rows(split, files[2 * number : 2 * number + 2])
    print(f"{len(pairs)} pairs: {len(pairs) - 2 * n} train, {n} valid, {n} test")


if __name__ == "__main__":
    cli.run(main)
