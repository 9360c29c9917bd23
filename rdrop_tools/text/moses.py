"""Moses' tokeniser and detokeniser (sacremoses), line by line from standard input to standard output."""

import argparse
import sys
from collections.abc import Callable, Sequence

import regex

from rdrop_tools import cli
from rdrop_tools.lines import decode_lines

LOST = 0.05  # share of the lines that detokenising may change: there a perfect translation loses 2 BLEU or so
OPTIONS = {  # how the text of a benchmark is tokenised; the escapes of Moses (&apos;) are always made
    "lowercase": None,
    "split_dashes": "x-y becomes x @-@ y (-a of tokenizer.perl)",
    "normalise": "normalize-punctuation.perl and remove-non-printing-char.perl",
    "plain_apostrophes": "typographic ones become '",
}


def add_tokeniser_arguments(parser: argparse.ArgumentParser) -> None:
    for name, meaning in OPTIONS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", action="store_true", help=meaning)


def tokeniser_options(args: argparse.Namespace) -> list[str]:
    return [name for name in OPTIONS if getattr(args, name)]


def tokeniser(lang: str, options: Sequence[str] = ()) -> Callable[[str], str]:
    """The tokens of a line; ``options`` are of OPTIONS."""
    from sacremoses import MosesPunctNormalizer, MosesTokenizer

    moses, normaliser = MosesTokenizer(lang), MosesPunctNormalizer(lang)
    splits = "split_dashes" in options

    def tokenise(line: str) -> str:
        if "plain_apostrophes" in options:
            line = line.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
        if "normalise" in options:
            line = regex.sub(r"\p{C}", " ", normaliser.normalize(line))  # control and unassigned characters
        tokens = str(moses.tokenize(line, aggressive_dash_splits=splits, return_str=True, escape=True))
        return tokens.lower() if "lowercase" in options else tokens

    return tokenise


def warn_of_language(lang: str) -> None:
    """On standard error, as Moses does, of a language that it takes for English."""
    from sacremoses.corpus import NonbreakingPrefixes

    if lang not in NonbreakingPrefixes().available_langs:
        print(f"warning: Moses has no abbreviations of {lang!r}: takes those of English", file=sys.stderr)


def detokeniser(lang: str) -> Callable[[str], str]:
    """The text of a line of tokens."""
    from sacremoses import MosesDetokenizer

    moses = MosesDetokenizer(lang)
    return lambda line: str(moses.detokenize(line.split()))


def check_detokeniser(lang: str, lines: Sequence[str]) -> str:
    """How many lines tokenising and then detokenising do not give back, in words; empty if all come back.

    More than a few are refused: a translation in the right words would score as a wrong one.
    """
    tokenise, detokenise = tokeniser(lang), detokeniser(lang)
    lines = [" ".join(line.split()) for line in lines]
    lost = [line for line in lines if detokenise(tokenise(line)) != line]
    said = f"Moses' tokens of {lang} do not give back the text of {len(lost)} of {len(lines)} lines"
    if len(lost) > LOST * len(lines):
        raise cli.InputError(f"{said}, one of them {lost[0][:60]!r}: prepare it with BPE=sentencepiece")
    return said if lost else ""


def main() -> None:
    parser = cli.Parser(__doc__)
    parser.add_argument("action", choices=["tokenize", "detokenize"])
    parser.add_argument("lang")
    add_tokeniser_arguments(parser)
    args = parser.parse_args()
    options = tokeniser_options(args)
    function = detokeniser(args.lang) if args.action == "detokenize" else tokeniser(args.lang, options)
    for line in decode_lines(sys.stdin.buffer, "standard input"):
        print(function(line))


if __name__ == "__main__":
    cli.run(main)
