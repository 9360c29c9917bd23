"""Learn a SentencePiece model on train.{lang}, joint or one a side, and write the pieces of every split.

The text is not normalised: the pieces put together again are the line as it was, but for white space. A run
of white space and control characters of any kind becomes one space, and none stays at the ends, as fairseq,
which reads the pieces, would split them there. U+2581, SentencePiece's sign for a space, becomes one too; the
lines with it are counted.
"""

import io
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path

import sentencepiece as spm

from rdrop_tools import cli
from rdrop_tools.lines import iter_lines, read_columns, replacing, replacing_all
from rdrop_tools.text.corpus import add_splits_arguments, split_files

SPACE = "\u2581"
SPECIAL = 4  # pieces that are no text: unknown, begin, end, and the sign for a space
NOT_TEXT = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")  # \s as in fairseq's tokenize_line


def clean(line: str) -> str:
    return NOT_TEXT.sub(" ", line).strip()


def clean_lines(path: Path) -> Iterator[str]:
    return map(clean, iter_lines(path))


def learn(paths: list[Path], vocab_size: int, about: bool) -> bytes:
    """The model, of all the lines, however long; with ``about`` it has the pieces that the text allows."""
    longest = max((len(line.encode()) for line in chain(*map(clean_lines, paths))), default=0)
    if not longest:
        raise cli.InputError(f"{' and '.join(map(str, paths))} have no text to learn from")
    if about:
        characters = set().union(*chain(*map(clean_lines, paths)))
        vocab_size = max(vocab_size, len(characters) + SPECIAL)
    model = io.BytesIO()
    try:
        spm.SentencePieceTrainer.train(
            sentence_iterator=chain(*map(clean_lines, paths)),
            model_writer=model,
            vocab_size=vocab_size,
            hard_vocab_limit=not about,
            model_type="bpe",
            character_coverage=1.0,
            normalization_rule_name="identity",
            max_sentence_length=max(longest + 1, 10),  # its least; by default, longer lines are left out
            minloglevel=2,
        )
    except RuntimeError as error:
        raise cli.InputError(f"--vocab-size: {vocab_size} pieces cannot be learnt: {error}") from None
    return model.getvalue()


def main() -> None:
    parser = cli.Parser(__doc__)
    add_splits_arguments(parser)
    parser.add_argument("--vocab-size", type=cli.integer(1, 1_000_000), default=4000)
    parser.add_argument("--about", action="store_true", help="as many pieces as the text allows, or needs")
    parser.add_argument("--separate", action="store_true", help="a model a side, sentencepiece.{lang}.model")
    args = parser.parse_args()

    names = [f"sentencepiece.{lang}.model" if args.separate else "sentencepiece.model" for lang in args.langs]
    train = [cli.input_file(args.in_dir / f"train.{lang}") for lang in args.langs]
    texts: dict[Path, list[Path]] = {}  # that each model is learnt from
    for name, path in zip(names, train, strict=True):
        texts.setdefault(args.out_dir / name, []).append(path)
    inputs, outputs = split_files(args, train, texts)
    protos = {path: learn(sides, args.vocab_size, args.about) for path, sides in texts.items()}
    models = [spm.SentencePieceProcessor(model_proto=protos[args.out_dir / name]) for name in names]
    marked = 0
    with ExitStack() as stack, replacing_all(chain(*outputs)) as files:
        for path, proto in protos.items():
            stack.enter_context(replacing(path, "wb")).write(proto)
        for number, sides in enumerate(inputs):
            pair = files[2 * number : 2 * number + 2]
            for model, lines, file in zip(models, read_columns(*sides), pair, strict=True):
                if not lines:
                    raise cli.InputError(f"{' and '.join(map(str, sides))} are empty")
                for pieces in model.encode([*map(clean, lines)], out_type=str):
                    print(*pieces, file=file)
                marked += sum(SPACE in line for line in lines)
    if marked:
        print(f"{marked} lines have the character U+2581: a space there now", file=sys.stderr)


if __name__ == "__main__":
    cli.run(main)
