"""Split the words of parallel text by subword-nmt's codes; a length filter on the pieces of train.

Words are what white space of any kind separates, as for fairseq, which reads the pieces.
"""

import io
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from rdrop_tools import cli
from rdrop_tools.lines import Pair, read_lines, read_pairs, replacing_all, write_rows
from rdrop_tools.text import corpus

JOINED = re.compile(r"@@(?=\s|$)")  # the sign of a split word, as fairseq's --post-process reads it

VERSIONS = ("#version: 0.1", "#version: 0.2")


def read_codes(path: Path) -> str:
    """subword-nmt's own check ends the process, with two lines of its own."""
    lines = read_lines(path)
    while lines and not lines[-1]:
        lines.pop()
    header = bool(lines) and lines[0].startswith("#version:")
    if len(lines) == header:
        raise cli.InputError(f"{path} has no BPE codes")
    for number, line in enumerate(lines, 1):
        good = line in VERSIONS if header and number == 1 else len(line.strip(" ").split(" ")) == 2
        if not good:
            raise cli.InputError(
                f"{path} is not of subword-nmt learn-bpe: line {number} is no pair of pieces"
            )
    return "".join(f"{line}\n" for line in lines)


def splitter(codes: str) -> Callable[[str], str]:
    """The pieces of a line of words."""
    from subword_nmt.apply_bpe import BPE

    bpe = BPE(io.StringIO(codes))
    return lambda line: str(bpe.process_line(" ".join(line.split())))


def make_pieces_function(codes: str, target_codes: str) -> Callable[[str, str], Pair]:
    split_source = splitter(codes)
    split_target = split_source if target_codes == codes else splitter(target_codes)
    return lambda source, target: (split_source(source), split_target(target))


def main() -> None:
    parser = cli.Parser(__doc__)
    parser.add_argument("codes", type=cli.input_file, help="of subword-nmt learn-bpe")
    parser.add_argument("--target-codes", type=cli.input_file, help="where they are others than the source's")
    corpus.add_splits_arguments(parser)
    corpus.add_filter_argument(parser, "training pairs")
    corpus.add_workers_argument(parser)
    args = parser.parse_args()
    codes = [args.codes, args.target_codes or args.codes]
    make = partial(make_pieces_function, *map(read_codes, codes))
    inputs, outputs = corpus.split_files(args, codes)
    joined = 0

    def pairs(split_inputs: list[Path]) -> Iterator[Pair]:
        nonlocal joined
        for pair in read_pairs(*split_inputs):
            joined += any(map(JOINED.search, pair))
            yield pair

    with replacing_all([path for sides in outputs for path in sides]) as files:
        for number, split in enumerate(args.splits):
            pieces = corpus.parallel_map(make, pairs(inputs[number]), args.workers, f"BPE of {split}")
            if split == "train":
                pieces = (pair for pair in pieces if corpus.is_short(pair[0], pair[1], args.max_tokens))
            if not write_rows(pieces, files[2 * number : 2 * number + 2]):
                raise cli.InputError(f"no pairs of {' and '.join(map(str, inputs[number]))} are left")
    if joined:
        message = f"{joined} pairs have words that end in @@: joined to the next when BPE is undone"
        print(message, file=sys.stderr)


if __name__ == "__main__":
    cli.run(main)
