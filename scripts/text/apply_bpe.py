#!/usr/bin/env python3
"""Split the words of parallel text by subword-nmt's codes; a length filter on the pieces of train."""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from subword_nmt.apply_bpe import BPE

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from scripts.text.corpus import (
    LengthFilter,
    Pair,
    default_workers,
    open_text,
    parallel_map,
    read_pairs,
    write_columns,
)


def make_pieces_function(codes: Path) -> Callable[[str, str], Pair]:
    with open_text(codes) as file:
        bpe = BPE(file)
    return lambda source, target: (bpe.process_line(source), bpe.process_line(target))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("codes", type=Path, help="of subword-nmt learn-bpe")
    parser.add_argument("in_dir", type=Path)
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--langs", nargs=2, required=True, metavar="LANG")
    parser.add_argument("--splits", nargs="+", default=["train", "valid", "test"], metavar="SPLIT")
    parser.add_argument(
        "--max-tokens", type=int, help="drop training pairs with more pieces, or none, on a side"
    )
    parser.add_argument(
        "--ratio", type=float, default=1.5, help="with --max-tokens: longer side by shorter side"
    )
    parser.add_argument("--workers", type=int, default=default_workers())
    args = parser.parse_args()

    args.out_dir.mkdir(parents=True, exist_ok=True)
    for split in args.splits:
        files = [f"{split}.{lang}" for lang in args.langs]
        pairs = read_pairs(*(args.in_dir / file for file in files))
        pieces = parallel_map(
            partial(make_pieces_function, args.codes), pairs, args.workers, f"BPE of {split}"
        )
        if args.max_tokens and split == "train":
            keep = LengthFilter(args.max_tokens, args.ratio)
            pieces = (pair for pair in pieces if keep(*pair))
        write_columns(pieces, [args.out_dir / file for file in files])


if __name__ == "__main__":
    main()
