"""Scripts that are written without spaces between words."""

import regex

UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
LETTER = regex.compile(rf"(?V1)[{UNSPACED}]")
FEW = 3  # lines, which may be a word each


def is_unspaced(lines: list[str]) -> bool:
    """Whether these are more than a few lines, most of their letters of such scripts, with hardly a space."""
    text = " ".join(lines)
    unspaced, letters = len(LETTER.findall(text)), sum(char.isalpha() for char in text)
    spaces = sum(len(line.split()) - 1 for line in lines if line.strip())
    return len(lines) > FEW and unspaced > letters / 2 and spaces < unspaced / 20
