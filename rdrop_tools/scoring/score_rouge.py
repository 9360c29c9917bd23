"""ROUGE-1, -2, -L and -Lsum of summaries by the rouge-score library, with bootstrap confidence intervals.

One text per line in each file. Given --baseline too, a paired comparison: how much better the hypothesis
is, with the interval and p-value of a paired bootstrap (the p-value as in sacreBLEU). An empty hypothesis
scores 0; an empty reference is an error.
"""

import re
import unicodedata
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import regex

from rdrop_tools import cli
from rdrop_tools.lines import check_outputs, read_columns, write_json
from rdrop_tools.scoring.unspaced import UNSPACED

METRICS = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L", "rougeLsum": "ROUGE-Lsum"}
Array = npt.NDArray[np.float64]
TOKEN = regex.compile(rf"(?V1)[{UNSPACED}]\p{{M}}*|[[\p{{L}}\p{{M}}\p{{N}}]--[{UNSPACED}]]+")
LETTER = regex.compile(r"[\p{L}\p{M}]")
TRACE = 0.01  # names and loans of English text have less, German's umlauts are nearly twice as many
# A full stop that is no Latin one needs no space after it, but for Arabic's and Devanagari's.
SENTENCE_END = {
    "rouge-score": r"(?<=[.!?]) +",
    "unicode": r"(?<=[.!?\u061f\u06d4\u0964]) +|(?<=[\u3002\uff01\uff1f])",
}


class UnicodeTokenizer:  # as rouge_score.tokenizers.Tokenizer, whose own keeps a-z and 0-9 only
    """Runs of letters, their marks and digits, in whatever case; of an unspaced script, single characters."""

    def tokenize(self, text: str) -> list[str]:
        return list(TOKEN.findall(unicodedata.normalize("NFC", text).casefold()))


def check_letters(path: Path, texts: list[str]) -> None:
    """Refuses text of whose letters rouge-score's own tokeniser drops more than a trace."""
    letters = [letter for text in texts for letter in LETTER.findall(text.lower())]
    dropped = sum(not letter.isascii() for letter in letters)
    if dropped > TRACE * len(letters):
        raise cli.InputError(
            f"{path}: {dropped / len(letters):.1%} of the letters are none of a-z, and rouge-score's own "
            "tokeniser drops them: choose --tokenizer unicode, or, to drop them, --tokenizer rouge-score"
        )


def split_sentences(text: str, tokenizer: str = "rouge-score") -> str:
    """One sentence a line, as ROUGE-Lsum wants it. rouge-score's own splitter downloads a model."""
    return re.sub(SENTENCE_END[tokenizer], "\n", text)


def score_lines(
    references: list[str], hypotheses: list[str], tokenizer: str, stemmer: bool, sentences: str
) -> Array:
    """(lines, metrics, [precision, recall, F]), in percent."""
    from rouge_score.rouge_scorer import RougeScorer

    words = UnicodeTokenizer() if tokenizer == "unicode" else None
    scorer = RougeScorer(list(METRICS), use_stemmer=stemmer, tokenizer=words)
    if sentences == "punctuation":
        sides = references, hypotheses
        references, hypotheses = ([split_sentences(text, tokenizer) for text in side] for side in sides)
    scores = [scorer.score(*pair) for pair in zip(references, hypotheses, strict=True)]
    return 100 * np.array([[score[metric] for metric in METRICS] for score in scores])


def bootstrap(values: Array, resamples: int, seed: int) -> Array:
    """(resamples, columns): means over lines drawn with replacement, the same lines in every column."""
    rng = np.random.default_rng(seed)
    count = len(values)
    return np.stack([values[rng.integers(count, size=count)].mean(0) for _ in range(resamples)])


def interval(samples: Array) -> list[float]:
    return [round(float(bound), 2) for bound in np.percentile(samples, [2.5, 97.5])]


def summary(path: Path, texts: list[str], scores: Array, means: Array) -> dict[str, Any]:
    result: dict[str, Any] = {
        "file": "/".join(path.absolute().parts[-2:]),  # systems often differ in the folder only
        "empty": sum(not text for text in texts),
        "words": round(sum(len(text.split()) for text in texts) / len(texts), 1),
    }
    for column, metric in enumerate(METRICS):
        precision, recall, f = scores[:, column].mean(0).round(2).tolist()
        f_95 = interval(means[:, column])
        result[metric] = {"precision": precision, "recall": recall, "f": f, "f_95": f_95}
    return result


def comparison(difference: Array, samples: Array) -> dict[str, Any]:
    """The differences (system - baseline) of the F per line and metric, and of the bootstrap's means."""
    result = {}
    for column, metric in enumerate(METRICS):
        observed, drawn = difference[:, column].mean(), samples[:, column]
        extreme = np.sum(np.abs(drawn - drawn.mean()) >= abs(observed))
        p_value = round(float((extreme + 1) / (len(drawn) + 1)), 4)
        result[metric] = {"f": round(float(observed), 2), "f_95": interval(drawn), "p": p_value}
    return result


def cell(value: dict[str, Any], sign: str) -> str:
    low, high = value["f_95"]
    return f"{value['f']:{sign}.2f} [{low:{sign}.2f}, {high:{sign}.2f}]"


def table(result: dict[str, Any]) -> str:
    rows = [("", *METRICS.values())]
    for name, sign in (("system", ""), ("baseline", ""), ("difference", "+")):
        if name in result:
            title = f"{name}: {result[name]['file']}" if "file" in result[name] else name
            rows.append((title, *(cell(result[name][metric], sign) for metric in METRICS)))
    if "difference" in result:
        rows.append(("p", *(f"{result['difference'][metric]['p']:.4f}" for metric in METRICS)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join([*lines, f"F, 95% intervals; {result['signature']}"])


def main() -> None:
    parser = cli.Parser(__doc__)
    parser.add_argument("reference", type=cli.input_file)
    parser.add_argument("hypothesis", type=cli.input_file)
    parser.add_argument("--baseline", type=cli.input_file, help="another system's hypotheses")
    parser.add_argument("--json", type=cli.output_file, help="write the result here too")
    parser.add_argument(
        "--tokenizer",
        choices=list(SENTENCE_END),
        help="rouge-score (the default): a-z and 0-9, for English; unicode: words of any script, single "
        "characters of Chinese, Japanese and Thai, no stemmer",
    )
    parser.add_argument("--no-stemmer", action="store_true", help="compare words, not their Porter stems")
    parser.add_argument(
        "--sentences",
        choices=["punctuation", "none"],
        default="punctuation",
        help="for ROUGE-Lsum: split after . ! ? or not at all (then it is ROUGE-L)",
    )
    parser.add_argument("--resamples", type=cli.integer(1, 1_000_000), default=1000)
    parser.add_argument("--seed", type=cli.integer(0), default=1)
    args = parser.parse_args()

    files = {"system": args.hypothesis} | ({"baseline": args.baseline} if args.baseline else {})
    check_outputs([args.json] if args.json else [], [args.reference, *files.values()])
    references, *systems = (
        [line.strip() for line in column] for column in read_columns(args.reference, *files.values())
    )
    if not references:
        raise cli.InputError(f"{args.reference} is empty")
    if "" in references:
        raise cli.InputError(f"{args.reference} has an empty reference in line {references.index('') + 1}")
    if args.tokenizer is None:
        check_letters(args.reference, references)
    tokenizer = args.tokenizer or "rouge-score"
    stemmer = not args.no_stemmer and tokenizer == "rouge-score"
    signature = f"rouge-score {version('rouge-score')}|tok:{tokenizer}|stem:{'yes' if stemmer else 'no'}"
    signature += (
        f"|sentences:{args.sentences}|n:{len(references)}|bootstrap:{args.resamples}|seed:{args.seed}"
    )
    result: dict[str, Any] = {"signature": signature}
    f_scores = []
    for (name, path), texts in zip(files.items(), systems, strict=True):
        scores = score_lines(references, texts, tokenizer, stemmer, args.sentences)
        f_scores.append(scores[:, :, 2])
        result[name] = summary(path, texts, scores, bootstrap(f_scores[-1], args.resamples, args.seed))
    if len(f_scores) == 2:
        difference = f_scores[0] - f_scores[1]
        result["difference"] = comparison(difference, bootstrap(difference, args.resamples, args.seed))
    if args.json:
        write_json(args.json, result)
    print(table(result))


def command() -> None:
    cli.run(main)


if __name__ == "__main__":
    command()
