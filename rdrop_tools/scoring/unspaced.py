"""Print sacreBLEU's tokeniser for a text, by its script, as people write codes of languages in many ways.

It is ja-mecab, zh, ko-mecab, char (Thai), or 13a for words with spaces; nothing where sacreBLEU has none.
"""

from collections.abc import Iterable, Sequence
from itertools import islice

import regex

from rdrop_tools import cli
from rdrop_tools.lines import iter_lines

UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
SCRIPT = rf"{UNSPACED}\p{{Tibetan}}"  # which has a sign after each syllable
LETTER = regex.compile(rf"(?V1)[[{SCRIPT}]&&[\p{{L}}\p{{M}}]]")
SCRIPTS = {  # scripts whose words sacreBLEU has a tokeniser for; what is left of SCRIPT has none
    "zh": regex.compile(r"\p{Han}"),
    "ja-mecab": regex.compile(r"[\p{Hiragana}\p{Katakana}]"),
    "char": regex.compile(r"\p{Thai}"),
}
SPACED = regex.compile(rf"(?V1)[\p{{L}}--[{SCRIPT}]][[\p{{L}}\p{{M}}\p{{N}}]--[{SCRIPT}]]*")  # a word
HANGUL = regex.compile(r"\p{Hangul}")
CJK = ("zh", "ja-mecab", "ko-mecab")  # that sacreBLEU's TER has its own words for
SAMPLE = 2000  # lines that tell the script
FEW = 3  # lines, which may be a word each
# Of a word, in the mean, where it has spaces around it; at most. Those of other scripts have marks too.
LETTERS = {"zh": 3, "ja-mecab": 3}
OTHER_LETTERS = 8


def sacrebleu_tokenizer(lines: Sequence[str]) -> str | None:
    """That for the script of most letters, a word of another script for one; None where there is none."""
    text = "\n".join(lines)
    counts = {name: len(script.findall(text)) for name, script in SCRIPTS.items()}
    unspaced, words = len(LETTER.findall(text)), SPACED.findall(text)
    if unspaced <= len(words):
        korean = sum(bool(HANGUL.match(word)) for word in words)
        return "ko-mecab" if korean > len(words) / 2 else "13a"
    if counts["ja-mecab"] > (counts["zh"] + counts["ja-mecab"]) / 20:  # Chinese has a kana at times
        counts["ja-mecab"] += counts["zh"]
    name = max(counts, key=lambda name: counts[name])
    return name if counts[name] > unspaced / 2 else None


def has_spaces(lines: Sequence[str]) -> bool:
    """Whether the script is one with spaces between words."""
    return sacrebleu_tokenizer(lines) in ("13a", "ko-mecab")


def is_unspaced(lines: Iterable[str]) -> bool:
    """Whether these are more than a few lines of such a script, with hardly a space between its letters."""
    lines = list(lines)
    if len(lines) <= FEW or has_spaces(lines):
        return False
    words = [sum(bool(LETTER.search(word)) for word in line.split()) for line in lines]
    most = LETTERS.get(sacrebleu_tokenizer(lines) or "", OTHER_LETTERS)
    return sum(count - 1 for count in words if count) < len(LETTER.findall(" ".join(lines))) / most


def main() -> None:
    parser = cli.Parser(__doc__)
    parser.add_argument("text", type=cli.input_file, help="a sentence a line, perhaps .gz")
    args = parser.parse_args()
    print(sacrebleu_tokenizer(list(islice(iter_lines(args.text), SAMPLE))) or "")


if __name__ == "__main__":
    cli.run(main)
