"""Words of any script for rouge-score, whose own tokeniser keeps a-z and 0-9 and drops the rest."""

import unicodedata
from pathlib import Path

import regex

from rdrop_tools.cli import InputError
from rdrop_tools.scoring.unspaced import UNSPACED

TOKEN = regex.compile(rf"(?V1)[{UNSPACED}]\p{{M}}*|[[\p{{L}}\p{{M}}\p{{N}}]--[{UNSPACED}]]+")
LETTER = regex.compile(r"[\p{L}\p{M}]")
TRACE = 0.01  # names and loans of English text have less, German's umlauts are nearly twice as many


class UnicodeTokenizer:  # as rouge_score.tokenizers.Tokenizer
    """Runs of letters, their marks and digits, in whatever case; of an unspaced script, single characters."""

    def tokenize(self, text: str) -> list[str]:
        return list(TOKEN.findall(unicodedata.normalize("NFC", text).casefold()))


def check_letters(path: Path, texts: list[str]) -> None:
    """
    Raises:
        InputError: of the letters, more than a trace would be dropped by rouge-score's own tokeniser.
    """
    letters = [letter for text in texts for letter in LETTER.findall(text.lower())]
    dropped = sum(not letter.isascii() for letter in letters)
    if dropped > TRACE * len(letters):
        raise InputError(
            f"{path}: {dropped / len(letters):.1%} of the letters are none of a-z, and rouge-score's own "
            "tokeniser drops them: choose --tokenizer unicode, or, to drop them, --tokenizer rouge-score"
        )
