#!/usr/bin/env python3
"""Learn a joint SentencePiece model on train.{lang} and write the pieces of every split."""

import argparse
import sys
from pathlib import Path

import sentencepiece as spm


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("raw_dir", type=Path, help="folder with {split}.{lang}")
    parser.add_argument("out_dir", type=Path, help="folder for the model and the pieces")
    parser.add_argument("--langs", nargs=2, required=True, metavar="LANG")
    parser.add_argument("--splits", nargs="+", default=["train", "valid", "test"], metavar="SPLIT")
    parser.add_argument("--vocab-size", type=int, default=4000)
    args = parser.parse_args()

    prefix = args.out_dir / "sentencepiece"
    try:
        spm.SentencePieceTrainer.train(
            input=[str(args.raw_dir / f"train.{lang}") for lang in args.langs],
            model_prefix=str(prefix),
            vocab_size=args.vocab_size,
            model_type="bpe",
            character_coverage=1.0,
            minloglevel=2,
        )
    except RuntimeError as error:  # the text is too small for the vocabulary
        sys.exit(f"error: SentencePiece cannot learn {args.vocab_size} pieces (--vocab-size): {error}")
    model = spm.SentencePieceProcessor(model_file=f"{prefix}.model")
    for split in args.splits:
        for lang in args.langs:
            lines = (args.raw_dir / f"{split}.{lang}").read_text(encoding="utf-8").split("\n")[:-1]
            pieces = (" ".join(line) for line in model.encode(lines, out_type=str))
            (args.out_dir / f"{split}.{lang}").write_text(
                "".join(f"{line}\n" for line in pieces), encoding="utf-8"
            )


if __name__ == "__main__":
    main()
