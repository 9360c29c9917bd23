"""A parallel corpus of the user's: check it, or write it as files of lines, {train,valid,test}.{src,tgt}.

TEXT is a folder with train and, perhaps, valid (or val) and test, each two files of lines (train.de,
train.en) or one table (train.tsv, train.csv, train.jsonl), plain or .gz; or it is one table, which is train.
A table has a column or key of each language's name, or just two columns; or --columns names two of the first
line, or counts them from 1, when the first line is a pair too.

Without valid, pairs are held out of train at random, and those that have the source or the target of a
held-out pair are left out of train. Pairs with an empty side are left out of train and valid; a test set
keeps every line, unless --no-empty. White space of any kind becomes one space.

Without --out everything is read and nothing written: what is printed is the SHA-256 of all pairs, and how
many train has.
"""

import argparse
import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

from rdrop_tools import cli
from rdrop_tools.cli import InputError
from rdrop_tools.lines import Pair, replacing_all, write_rows
from rdrop_tools.text.corpus import add_langs_argument, prepare_outputs
from rdrop_tools.text.text_forms import Columns, Text, find_text, table_file

HELDOUT = 1000  # pairs, or a tenth of a smaller corpus
SEED = 1


class Corpus:
    """The splits that there are; reads them anew, in a stream, each time."""

    def __init__(self, place: Path, langs: list[str], columns: Columns | None) -> None:
        self.place, self.langs, self.columns = place, langs, columns
        found: dict[str, Text | None] = {"train": table_file(place)} if place.is_file() else {}
        if not found:
            found = {name: find_text(place, [name], langs) for name in ("train", "test")}
            found["valid"] = find_text(place, ["valid", "val"], langs)
        self.texts = {name: text for name, text in found.items() if text}
        if "train" not in self.texts:
            raise InputError(f"{place} has no train.{langs[0]} and train.{langs[1]}, and no table train")

    def read(self, split: str) -> Iterator[Pair]:
        """
        Raises:
            InputError: as Text.pairs; or there is no text in it, or the same on both sides.
        """
        texts = different = 0
        for pair in self.texts[split].pairs(self.langs, self.columns):
            texts += is_text(pair)
            different += pair[0] != pair[1]
            yield pair
        if not texts or not different:
            names = " and ".join(map(str, self.texts[split].files))
            raise InputError(f"{names} {'have the same text on both sides' if texts else 'have no text'}")

    def describe(self) -> str:
        """The SHA-256 of all pairs, and the number of those of train."""
        digest = hashlib.sha256()
        counts = dict.fromkeys(self.texts, 0)
        for split in sorted(self.texts):
            digest.update(f"{split}\n".encode())
            for source, target in self.read(split):
                digest.update(f"{source}\n{target}\n".encode())
                counts[split] += 1
        return f"{digest.hexdigest()} {counts['train']}"

    def held_out(self, wanted: int | None) -> set[int]:
        """The numbers of the pairs of train that become valid.

        Raises:
            InputError: there are not twice as many.
        """
        good = [number for number, pair in enumerate(self.read("train")) if is_text(pair)]
        count = wanted or max(1, min(HELDOUT, len(good) // 10))
        if len(good) <= 2 * count:
            needed = f"more than {2 * count} are needed for a valid of {count}"
            raise InputError(f"{self.place} has {len(good)} pairs with text, {needed} (HELDOUT), or a valid")
        return set(random.Random(SEED).sample(good, count))


def is_text(pair: Pair) -> bool:
    return all(pair)


def write(corpus: Corpus, args: argparse.Namespace) -> None:
    """``args.splits`` has the names that train, valid and a test set get."""
    out: Path = args.out
    train, valid, *test = args.splits if "test" in corpus.texts else args.splits[:2]
    outputs = [[out / f"{split}.{lang}" for lang in corpus.langs] for split in (train, valid, *test)]
    inputs = [path for text in corpus.texts.values() for path in text.files]
    prepare_outputs([path for sides in outputs for path in sides], inputs)
    chosen = set() if "valid" in corpus.texts else corpus.held_out(args.heldout)
    sides: tuple[set[str], set[str]] = set(), set()
    kept: list[str] = []

    def valid_pairs() -> Iterator[Pair]:
        pairs = enumerate(corpus.read("train" if chosen else "valid"))
        for number, pair in pairs:
            if number in chosen or (not chosen and is_text(pair)):
                if chosen:
                    sides[0].add(pair[0])
                    sides[1].add(pair[1])
                yield pair

    def train_pairs() -> Iterator[Pair]:
        empty = repeated = 0
        for number, pair in enumerate(corpus.read("train")):
            if not is_text(pair):
                empty += 1
            elif number not in chosen and (pair[0] in sides[0] or pair[1] in sides[1]):
                repeated += 1
            elif number not in chosen:
                yield pair
        repeats = f", and {repeated} that repeat a side of valid" if chosen else ""
        kept.append(f"left out of train: {empty} with an empty side{repeats}")

    with replacing_all([path for sides in outputs for path in sides]) as files:
        counts = [write_rows(valid_pairs(), files[2:4]), write_rows(train_pairs(), files[:2])]
        if not counts[1]:
            raise InputError(f"{corpus.place}: no pairs are left for train, they repeat those of valid")
        if test:
            pairs = (pair for pair in corpus.read("test") if is_text(pair) or not args.no_empty)
            counts.append(write_rows(pairs, files[4:6]))
    numbers = zip((valid, train, *test), counts, strict=True)
    print(", ".join(f"{split}: {count} pairs" for split, count in numbers), *kept, sep="; ")


def arguments() -> argparse.Namespace:
    parser = cli.Parser(__doc__)
    parser.add_argument("text", type=Path)
    add_langs_argument(parser)
    parser.add_argument("--columns", nargs=2, metavar="NAME", help="of source and target in tables")
    parser.add_argument("--out", type=cli.output_folder)
    splits = ["train", "valid", "test"]
    parser.add_argument("--splits", nargs=3, default=splits, help="names for --out")
    parser.add_argument("--heldout", type=cli.integer(1), help=f"({HELDOUT}, or a tenth of fewer pairs)")
    parser.add_argument("--no-empty", action="store_true", help="the test set too has no empty line")
    return parser.parse_args()


def main() -> None:
    args = arguments()
    if not args.text.is_dir():
        cli.input_file(args.text)
    corpus = Corpus(args.text, args.langs, tuple(args.columns) if args.columns else None)
    if args.out:
        write(corpus, args)
    else:
        if "valid" not in corpus.texts:
            corpus.held_out(args.heldout)
        print(corpus.describe())


if __name__ == "__main__":
    cli.run(main)
