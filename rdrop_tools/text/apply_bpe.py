"""Split the words of parallel text by subword-nmt's codes; a length filter on the pieces of train.

Words are what white space of any kind separates, as for fairseq, which reads the pieces.
"""

import contextlib
import io
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rdrop_tools import cli
from rdrop_tools.lines import Pair, iter_lines, read_pairs, replacing_all, write_rows
from rdrop_tools.text import corpus

JOINED = re.compile(r"@@(?=\s|$)")  # the sign of a split word, as fairseq's --post-process reads it


def splitter(codes: Path) -> Callable[[str], str]:
    """The pieces of a line of words."""
    from subword_nmt.apply_bpe import BPE

    text = io.StringIO("".join(f"{line}\n" for line in iter_lines(codes)))
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # two lines, before it ends the process
            bpe = BPE(text)
    except (SystemExit, ValueError):
        raise cli.InputError(f"{codes} is not of subword-nmt learn-bpe") from None
    return lambda line: str(bpe.process_line(" ".join(line.split())))


def make_pieces_function(codes: Path, target_codes: Path) -> Callable[[str, str], Pair]:
    split_source = splitter(codes)
    split_target = split_source if target_codes == codes else splitter(target_codes)
    return lambda source, target: (split_source(source), split_target(target))


def main() -> None:
    parser = cli.Parser(__doc__)
    parser.add_argument("codes", type=cli.input_file, help="of subword-nmt learn-bpe")
    parser.add_argument("--target-codes", type=cli.input_file, help="where they are others than the source's")
    corpus.add_splits_arguments(parser)
    corpus.add_filter_argument(parser, "training pairs")
    parser.add_argument("--workers", **corpus.WORKERS)
    args = parser.parse_args()
    codes = [args.codes, args.target_codes or args.codes]
    make = partial(make_pieces_function, *codes)
    inputs, outputs = corpus.split_files(args, codes)

    with replacing_all([path for sides in outputs for path in sides]) as files:
        for number, split in enumerate(args.splits):
            pieces = corpus.parallel_map(make, read_pairs(*inputs[number]), args.workers, f"BPE of {split}")
            if split == "train":
                pieces = (pair for pair in pieces if corpus.is_short(pair[0], pair[1], args.max_tokens))
            if not write_rows(pieces, files[2 * number : 2 * number + 2]):
                raise cli.InputError(f"no pairs of {' and '.join(map(str, inputs[number]))} are left")
    if joined := sum(any(map(JOINED.search, pair)) for sides in inputs for pair in read_pairs(*sides)):
        print(f"{joined} pairs have words ending in @@: undone, BPE joins them to the next", file=sys.stderr)


if __name__ == "__main__":
    cli.run(main)
