"""A parallel corpus of the user's: check it, or write it as files of lines, {train,valid,test}.{src,tgt}.

TEXT is a folder with train and, perhaps, valid (or val, validation, dev) and test (or devtest), each two
files of lines (train.de, train.en) or one table (train.tsv, train.csv, train.jsonl), plain or .gz; or it is
one table, which is train. A table has a column or key of each language's name, or just two columns; or
--columns names two of the first line, or counts them from 1, when the first line is a pair too. A line each
tells what was taken in one of several ways, and what in a folder looks like a part of the corpus and is not.

Without valid, pairs are held out of train at random, and those that have the source or the target of a
held-out pair are left out of train. Pairs with an empty side are left out of train and valid; a test set
keeps every line, unless --no-empty. White space of any kind becomes one space.

Without --out everything is read and nothing written: what is printed is the SHA-256 of all pairs, how many
train has, and sacreBLEU's tokeniser for the target (- where it has none).
"""

import argparse
import hashlib
import random
import re
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from rdrop_tools import cli
from rdrop_tools.cli import InputError
from rdrop_tools.lines import Pair, replacing_all, write_rows
from rdrop_tools.scoring.unspaced import SAMPLE, has_spaces, sacrebleu_tokenizer
from rdrop_tools.text.corpus import add_langs_argument, prepare_outputs
from rdrop_tools.text.moses import check_detokeniser
from rdrop_tools.text.tables import Columns
from rdrop_tools.text.text_forms import find_text, table_file, text_pairs

NAMES = {  # of which the first that is there is taken
    "train": ["train"],
    "test": ["test", "devtest"],
    "valid": ["valid", "val", "validation", "dev"],
}
# In the name of what may be a part of a corpus: newstest2014, but no contest.
SPLIT = re.compile("(?<![a-z])(train|val|dev|(news)?test|tst|eval)", re.IGNORECASE)
HELDOUT = 1000  # pairs, or a tenth of a smaller corpus


class Corpus:
    """The splits that there are; reads them anew, in a stream, each time."""

    def __init__(self, place: Path, langs: list[str], columns: Columns | None) -> None:
        self.place, self.langs, self.columns = place, langs, columns
        self.notes: dict[str, None] = {}  # lines for the user, each once
        if not place.is_dir():
            self.texts = {"train": table_file(place)}
            return
        found = {split: find_text(place, NAMES[split], langs) for split in NAMES}
        self.texts = {split: files for split, files in found.items() if files}
        names = {path.name for path in place.iterdir() if SPLIT.search(path.name)}
        others = ", ".join(sorted(names - {path.name for path in self.files()}))
        if "train" not in self.texts:
            no_train = f"{place} has no train.{langs[0]} and train.{langs[1]}, and no table train"
            raise InputError(f"{no_train}; there is {others or 'nothing like them'}")
        if others:
            self.note(f"{place} has names of splits that are not taken: {others}")

    def files(self) -> list[Path]:
        return [path for files in self.texts.values() for path in files]

    def note(self, message: str) -> None:
        self.notes[message] = None

    def read(self, split: str) -> Iterator[Pair]:
        """Refuses, at its end, what has no text, or the same on both sides."""
        texts = different = False
        for pair in text_pairs(self.texts[split], self.langs, self.columns, self.note):
            texts = texts or all(pair)
            different = different or pair[0] != pair[1]
            yield pair
        if not texts or not different:
            names = " and ".join(map(str, self.texts[split]))
            raise InputError(f"{names} {'have the same text on both sides' if texts else 'have no text'}")

    def sample(self) -> list[tuple[str, ...]]:
        """The first lines of train, a tuple a side."""
        return list(zip(*islice(self.read("train"), SAMPLE), strict=True))

    def check_moses(self) -> None:
        """Refuses a side whose words have no spaces, or whose text Moses' tokens do not give back."""
        for lang, lines in zip(self.langs, self.sample(), strict=True):
            if not has_spaces(lines):
                raise InputError(
                    f"BPE: subword-nmt needs spaces between the words of {lang}: take sentencepiece"
                )
            if lost := check_detokeniser(lang, lines):
                self.note(lost)

    def describe(self) -> str:
        """The SHA-256 of all pairs, the number of those of train, sacreBLEU's tokeniser."""
        digest = hashlib.sha256()
        counts = dict.fromkeys(self.texts, 0)
        for split in sorted(self.texts):
            digest.update(f"{split}\n".encode())
            for source, target in self.read(split):
                digest.update(f"{source}\n{target}\n".encode())
                counts[split] += 1
        tokenizer = sacrebleu_tokenizer(self.sample()[1]) or "-"
        return f"{digest.hexdigest()} {counts['train']} {tokenizer}"

    def held_out(self, wanted: int | None) -> set[int]:
        """The numbers of the pairs of train that become valid; none where there is one."""
        if "valid" in self.texts:
            return set()
        good = [number for number, pair in enumerate(self.read("train")) if all(pair)]
        count = wanted or max(1, min(HELDOUT, len(good) // 10))
        if len(good) <= 2 * count:
            needed = f"more than {2 * count} are needed for a valid of {count}"
            raise InputError(f"{self.place} has {len(good)} pairs with text, {needed} (HELDOUT), or a valid")
        return set(random.Random(1).sample(good, count))


def write(corpus: Corpus, args: argparse.Namespace) -> None:
    """``args.splits`` has the names that train, valid and a test set get."""
    train, valid, *test = args.splits if "test" in corpus.texts else args.splits[:2]
    paths = [args.out / f"{split}.{lang}" for split in (valid, train, *test) for lang in corpus.langs]
    prepare_outputs(paths, corpus.files())
    chosen = corpus.held_out(args.heldout)
    numbered = enumerate(corpus.read("train")) if chosen else ()
    held_out = [pair for number, pair in numbered if number in chosen]
    sources, targets = ({pair[side] for pair in held_out} for side in (0, 1))
    with replacing_all(paths) as files:
        counts = {valid: write_rows(held_out or filter(all, corpus.read("valid")), files[:2]), train: 0}
        empty, repeated = 0, -len(held_out)  # they repeat themselves
        for pair in corpus.read("train"):
            if not all(pair):
                empty += 1
            elif pair[0] in sources or pair[1] in targets:
                repeated += 1
            else:
                counts[train] += write_rows([pair], files[2:4])
        if not counts[train]:
            raise InputError(f"{corpus.place}: no pairs are left for train, they repeat those of valid")
        if test:
            pairs = corpus.read("test")
            counts[test[0]] = write_rows(filter(all, pairs) if args.no_empty else pairs, files[4:])
    repeats = f", and {repeated} that repeat a side of valid" if held_out else ""
    written = ", ".join(f"{split}: {count} pairs" for split, count in counts.items())
    print(f"{written}; left out of train: {empty} with an empty side{repeats}")


def main() -> None:
    parser = cli.Parser(__doc__)
    parser.add_argument("text", type=Path)
    add_langs_argument(parser)
    parser.add_argument("--columns", nargs=2, metavar="NAME", help="of source and target in tables")
    parser.add_argument("--out", type=cli.output_folder)
    splits = ["train", "valid", "test"]
    parser.add_argument("--splits", nargs=3, default=splits, help="names for --out")
    parser.add_argument("--heldout", type=cli.integer(1), help=f"({HELDOUT}, or a tenth of fewer pairs)")
    parser.add_argument("--moses", action="store_true", help="refuse what Moses' tokens do not give back")
    parser.add_argument("--quiet", action="store_true", help="tell nothing that a call without --out told")
    parser.add_argument("--no-empty", action="store_true", help="the test set too has no empty line")
    args = parser.parse_args()
    corpus = Corpus(args.text, args.langs, tuple(args.columns) if args.columns else None)
    if args.moses:
        corpus.check_moses()
    if args.out:
        write(corpus, args)
    else:
        corpus.held_out(args.heldout)  # or says why not
        print(corpus.describe())
    for note in () if args.quiet else corpus.notes:
        print(note, file=sys.stderr)


if __name__ == "__main__":
    cli.run(main)
