"""Tokenise parallel text with Moses' rules and drop the pairs that a length filter rejects.

Writes OUT_DIR/tok/NAME.LANG and, with --keep-raw, the text of the same pairs in OUT_DIR/raw/NAME.LANG.
"""

from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import Any

from rdrop_tools import cli
from rdrop_tools.lines import read_pairs, replacing_all, write_rows
from rdrop_tools.text import corpus
from rdrop_tools.text.moses import add_tokeniser_arguments, tokeniser, tokeniser_options, warn_of_language

Row = tuple[str, str, str, str]  # tokens and text of source and target


def make_row_function(
    langs: list[str], options: list[str], most: int | None
) -> Callable[[str, str], Row | None]:
    source_tokeniser, target_tokeniser = (tokeniser(lang, options) for lang in langs)

    def row(source: str, target: str) -> Row | None:
        tokens = source_tokeniser(source), target_tokeniser(target)
        return (*tokens, source, target) if corpus.is_short(*tokens, most) else None

    return row


def main() -> None:
    parser = cli.Parser(__doc__)
    parser.add_argument("out_dir", type=cli.output_folder)
    parser.add_argument("name", help="train, valid, test, ...")
    corpus.add_langs_argument(parser)
    pair: Any = {"nargs": 2, "type": cli.input_file, "action": "append", "metavar": "FILE"}
    parser.add_argument("--pair", **pair, required=True, help="repeatable, may be .gz")
    add_tokeniser_arguments(parser)
    corpus.add_filter_argument(parser, "pairs")
    parser.add_argument("--keep-raw", action="store_true")
    parser.add_argument("--workers", **corpus.WORKERS)
    args = parser.parse_args()
    for lang in args.langs:
        warn_of_language(lang)
    kinds = ("tok", "raw") if args.keep_raw else ("tok",)
    paths = [args.out_dir / kind / f"{args.name}.{lang}" for kind in kinds for lang in args.langs]
    corpus.prepare_outputs(paths, [path for files in args.pair for path in files])
    make = partial(make_row_function, args.langs, tokeniser_options(args), args.max_tokens)
    pairs = chain.from_iterable(read_pairs(*files) for files in args.pair)
    rows = corpus.parallel_map(make, pairs, args.workers, f"tokenising {args.name}")
    read = kept = 0
    with replacing_all(paths) as files:
        for row in rows:
            read += 1
            kept += write_rows([row[: len(paths)]] if row else [], files)
        if not kept:
            raise cli.InputError(f"no pairs of {args.pair[0][0]} and {args.pair[0][1]} are left")
    print(f"{args.name}: {kept} of {read} pairs kept")


if __name__ == "__main__":
    cli.run(main)
