#!/usr/bin/env python3
"""Sentence pairs from the LibreOffice help in two languages, split into train, valid and test.

The pages of all languages have the same paths, and a paragraph has the same id on both sides of a
translation. Each such paragraph is a pair, less markup; kept are those that differ between the
languages, have 3 to 100 tokens (words and punctuation marks) on both sides and a length ratio
(source / target) of 0.5 to 2.2, once per target paragraph.
"""

import argparse
import random
import re
import sys
from pathlib import Path

from lxml import html

MIN_TOKENS, MAX_TOKENS = 3, 100
MIN_RATIO, MAX_RATIO = 0.5, 2.2
TOKEN = re.compile(r"\w+|[^\w\s]")


def paragraphs(page: Path) -> dict[str, str]:
    """Text of every paragraph and heading of an HTML page by its id."""
    tree = html.parse(str(page), html.HTMLParser(encoding="utf-8"))
    nodes = tree.xpath("//*[starts-with(@id, 'par_id') or starts-with(@id, 'hd_id')]")
    return {node.get("id"): " ".join(node.text_content().split()) for node in nodes}


def is_good(source: str, target: str) -> bool:
    n_source, n_target = len(TOKEN.findall(source)), len(TOKEN.findall(target))
    return (
        source != target
        and MIN_TOKENS <= n_source <= MAX_TOKENS
        and MIN_TOKENS <= n_target <= MAX_TOKENS
        and MIN_RATIO <= n_source / n_target <= MAX_RATIO
    )


def read_pairs(source_dir: Path, target_dir: Path) -> list[tuple[str, str]]:
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


def write_split(pairs: list[tuple[str, str]], name: str, out_dir: Path, langs: tuple[str, str]) -> None:
    for side, lang in enumerate(langs):
        path = out_dir / f"{name}.{lang}"
        part = path.with_name(path.name + ".part")
        part.write_text("".join(pair[side] + "\n" for pair in pairs), encoding="utf-8")
        part.replace(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("help_dir", type=Path, help="folder with a folder of pages per language")
    parser.add_argument("out_dir", type=Path, help="where to write {train,valid,test}.{de,en}")
    parser.add_argument("--source", default="de", help="folder of the source language")
    parser.add_argument("--target", default="en-US", help="folder of the target language")
    parser.add_argument("--heldout", type=int, default=1000, help="pairs in each of valid and test")
    parser.add_argument("--seed", type=int, default=1, help="of the split")
    args = parser.parse_args()

    for lang in (args.source, args.target):
        if not (args.help_dir / lang).is_dir():
            sys.exit(f"error: {args.help_dir / lang} is not a folder of help pages")
    pairs = read_pairs(args.help_dir / args.source, args.help_dir / args.target)
    n = args.heldout
    if len(pairs) <= 2 * n:
        sys.exit(f"error: {args.help_dir} has {len(pairs)} pairs, more than {2 * n} are needed")
    random.Random(args.seed).shuffle(pairs)
    args.out_dir.mkdir(parents=True, exist_ok=True)
    langs = (args.source.split("-")[0], args.target.split("-")[0])
    for name, part in (("test", pairs[:n]), ("valid", pairs[n : 2 * n]), ("train", pairs[2 * n :])):
        write_split(part, name, args.out_dir, langs)
    print(f"{len(pairs)} pairs: {len(pairs) - 2 * n} train, {n} valid, {n} test")


if __name__ == "__main__":
    main()
