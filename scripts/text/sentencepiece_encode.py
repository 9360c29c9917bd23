#!/usr/bin/env python3
"""Learn a joint SentencePiece model on train.{lang} and write the pieces of every split.

The text is not normalised: the pieces put together again are the line as it was, but for white space. A run
of white space and control characters of any kind becomes one space, and none stays at the ends, as fairseq,
which reads the pieces, would split them there. U+2581, SentencePiece's sign for a space, becomes one too; the
lines with it are counted.
"""

import io
import re
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import sentencepiece as spm

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from scripts.common import cli
from scripts.common.lines import check_counts, iter_lines, replacing, replacing_all, write_rows
from scripts.text.corpus import add_splits_arguments, split_files

SPACE = "\u2581"
NOT_TEXT = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")  # \s as in fairseq's tokenize_line


def clean_lines(path: Path) -> Iterator[str]:
    return (NOT_TEXT.sub(" ", line).strip() for line in iter_lines(path))


def learn(paths: list[Path], vocab_size: int) -> bytes:
    """The model, of all the lines, however long.

    Raises:
        InputError: there is no text, or it is too small for the vocabulary, or has more characters.
    """
    longest = max((len(line.encode()) for line in chain(*map(clean_lines, paths))), default=0)
    if not longest:
        raise cli.InputError(f"{' and '.join(map(str, paths))} have no text to learn from")
    model = io.BytesIO()
    try:
        spm.SentencePieceTrainer.train(
            sentence_iterator=chain(*map(clean_lines, paths)),
            model_writer=model,
            vocab_size=vocab_size,
            model_type="bpe",
            character_coverage=1.0,
            normalization_rule_name="identity",
            max_sentence_length=longest + 1,  # by default, lines of more than 4,192 bytes are left out
            minloglevel=2,
        )
    except RuntimeError as error:
        reason = str(error).rpartition("] ")[2]
        raise cli.InputError(f"--vocab-size: {vocab_size} pieces cannot be learnt: {reason}") from None
    return model.getvalue()


def main() -> None:
    parser = cli.Parser(__doc__)
    add_splits_arguments(parser)
    parser.add_argument("--vocab-size", type=cli.integer(1, 1_000_000), default=4000)
    args = parser.parse_args()

    model_file = args.out_dir / "sentencepiece.model"
    train = [cli.input_file(args.in_dir / f"train.{lang}") for lang in args.langs]
    inputs, outputs = split_files(args, train, [model_file])
    proto = learn(train, args.vocab_size)
    model = spm.SentencePieceProcessor(model_proto=proto)
    marked = 0
    with replacing(model_file, "wb") as model_out, replacing_all(chain(*outputs)) as files:
        model_out.write(proto)
        for number, sides in enumerate(inputs):
            columns = [list(clean_lines(path)) for path in sides]
            check_counts({path: len(lines) for path, lines in zip(sides, columns, strict=True)})
            if not columns[0]:
                raise cli.InputError(f"{' and '.join(map(str, sides))} are empty")
            pieces = (map(" ".join, model.encode(lines, out_type=str)) for lines in columns)
            write_rows(zip(*pieces, strict=True), files[2 * number : 2 * number + 2])
            marked += sum(SPACE in line for lines in columns for line in lines)
    if marked:
        print(f"{marked} lines have the character U+2581: a space there now", file=sys.stderr)


if __name__ == "__main__":
    cli.run(main)
