#!/usr/bin/env python3
"""Tokenise parallel text with Moses' rules and drop the pairs that a length filter rejects.

Writes OUT_DIR/tok/NAME.LANG and, with --keep-raw, the text of the same pairs in OUT_DIR/raw/NAME.LANG.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from scripts.text.corpus import LengthFilter, Pair, default_workers, parallel_map, read_pairs, write_columns
from scripts.text.moses import Tokeniser, TokeniserOptions, add_tokeniser_arguments, tokeniser_options

Row = tuple[str, str, str, str]  # tokens and text of source and target


def make_row_function(
    langs: list[str], options: TokeniserOptions, keep: LengthFilter | None
) -> Callable[[str, str], Row | None]:
    source_tokeniser, target_tokeniser = (Tokeniser(lang, options) for lang in langs)

    def row(source: str, target: str) -> Row | None:
        tokens = source_tokeniser(source), target_tokeniser(target)
        return None if keep and not keep(*tokens) else (*tokens, source, target)

    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("name", help="train, valid, test, ...")
    parser.add_argument("--langs", nargs=2, required=True, metavar="LANG")
    parser.add_argument(
        "--pair",
        nargs=2,
        type=Path,
        action="append",
        required=True,
        metavar="FILE",
        help="repeatable, may be .gz",
    )
    add_tokeniser_arguments(parser)
    parser.add_argument("--max-tokens", type=int, help="drop pairs with more tokens, or none, on a side")
    parser.add_argument(
        "--ratio", type=float, default=1.5, help="with --max-tokens: longer side by shorter side"
    )
    parser.add_argument("--keep-raw", action="store_true")
    parser.add_argument("--workers", type=int, default=default_workers())
    args = parser.parse_args()

    read = 0

    def pairs() -> Iterator[Pair]:
        nonlocal read
        for files in args.pair:
            for pair in read_pairs(*files):
                read += 1
                yield pair

    keep = LengthFilter(args.max_tokens, args.ratio) if args.max_tokens else None
    make = partial(make_row_function, args.langs, tokeniser_options(args), keep)
    rows = parallel_map(make, pairs(), args.workers, f"tokenising {args.name}")
    width = 4 if args.keep_raw else 2
    paths = [args.out_dir / kind / f"{args.name}.{lang}" for kind in ("tok", "raw") for lang in args.langs][
        :width
    ]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
    kept = write_columns((row[:width] for row in rows if row), paths)
    print(f"{args.name}: {kept} of {read} pairs kept")
    if not kept:
        sys.exit(f"error: no pairs of {args.pair[0][0]} and {args.pair[0][1]} are left")


if __name__ == "__main__":
    main()
