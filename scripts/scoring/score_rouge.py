#!/usr/bin/env python3
"""ROUGE-1, -2, -L and -Lsum of summaries by the rouge-score library, with bootstrap confidence intervals.

One text per line in each file. Given --baseline too, a paired comparison: how much better the hypothesis
is, with the interval and p-value of a paired bootstrap (the p-value as in sacreBLEU). An empty hypothesis
scores 0; an empty reference is an error.
"""

import argparse
import json
import re
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rouge_score.rouge_scorer import RougeScorer

METRICS = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L", "rougeLsum": "ROUGE-Lsum"}
Array = npt.NDArray[np.float64]


def read_lines(path: Path) -> list[str]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        sys.exit(f"error: cannot read {path}: {error.strerror}")
    try:
        lines = raw.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        sys.exit(f"error: {path} is not UTF-8 at byte {error.start}, line {line}")
    return [line.strip() for line in (lines[:-1] if lines[-1] == "" else lines)]


def split_sentences(text: str) -> str:
    """One sentence a line, as ROUGE-Lsum wants it. rouge-score's own splitter downloads a model."""
    return re.sub(r"(?<=[.!?]) +", "\n", text)


def score_lines(references: list[str], hypotheses: list[str], *, stemmer: bool, sentences: str) -> Array:
    """(lines, metrics, [precision, recall, F]), in percent."""
    scorer = RougeScorer(list(METRICS), use_stemmer=stemmer)
    if sentences == "punctuation":
        references, hypotheses = (list(map(split_sentences, texts)) for texts in (references, hypotheses))
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
        values = dict(
            zip(("precision", "recall", "f"), scores[:, column].mean(0).round(2).tolist(), strict=True)
        )
        result[metric] = {**values, "f_95": interval(means[:, column])}
    return result


def comparison(difference: Array, samples: Array) -> dict[str, Any]:
    """Of the F per line and metric (system - baseline), and of the bootstrap's means."""
    result = {}
    for column, metric in enumerate(METRICS):
        observed, drawn = difference[:, column].mean(), samples[:, column]
        extreme = np.sum(np.abs(drawn - drawn.mean()) >= abs(observed))
        p_value = round(float((extreme + 1) / (len(drawn) + 1)), 4)
        result[metric] = {"f": round(float(observed), 2), "f_95": interval(drawn), "p": p_value}
    return result


def table(result: dict[str, Any]) -> str:
    rows = [("", *METRICS.values())]
    for name in ("system", "baseline"):
        if name in result:
            cells = (
                f"{s['f']:.2f} [{s['f_95'][0]:.2f}, {s['f_95'][1]:.2f}]"
                for s in map(result[name].get, METRICS)
            )
            rows.append((f"{name}: {result[name]['file']}", *cells))
    if "difference" in result:
        values = [result["difference"][metric] for metric in METRICS]
        rows.append(
            ("difference", *(f"{v['f']:+.2f} [{v['f_95'][0]:+.2f}, {v['f_95'][1]:+.2f}]" for v in values))
        )
        rows.append(("p", *(f"{v['p']:.4f}" for v in values)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join([*lines, f"F, 95% intervals; {result['signature']}"])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("reference", type=Path)
    parser.add_argument("hypothesis", type=Path)
    parser.add_argument("--baseline", type=Path, help="another system's hypotheses, to compare with")
    parser.add_argument("--json", type=Path, help="write the result here too")
    parser.add_argument("--no-stemmer", action="store_true", help="compare words, not their Porter stems")
    parser.add_argument(
        "--sentences",
        choices=["punctuation", "none"],
        default="punctuation",
        help="for ROUGE-Lsum: split after . ! ? or not at all (then it is ROUGE-L)",
    )
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if args.resamples < 1:
        sys.exit(f"error: --resamples must be at least 1, got {args.resamples}")

    references = read_lines(args.reference)
    if not references:
        sys.exit(f"error: {args.reference} is empty")
    if "" in references:
        sys.exit(f"error: {args.reference} has an empty reference in line {references.index('') + 1}")
    stem = "no" if args.no_stemmer else "yes"
    signature = (
        f"rouge-score {version('rouge-score')}|stem:{stem}|sentences:{args.sentences}|n:{len(references)}"
    )
    result: dict[str, Any] = {"signature": f"{signature}|bootstrap:{args.resamples}|seed:{args.seed}"}
    f_scores = []
    for name, path in (("system", args.hypothesis), ("baseline", args.baseline)):
        if path is None:
            continue
        texts = read_lines(path)
        if len(texts) != len(references):
            sys.exit(f"error: {path} has {len(texts)} lines, {args.reference} {len(references)}")
        scores = score_lines(references, texts, stemmer=not args.no_stemmer, sentences=args.sentences)
        f_scores.append(scores[:, :, 2])
        result[name] = summary(path, texts, scores, bootstrap(f_scores[-1], args.resamples, args.seed))
    if len(f_scores) == 2:
        difference = f_scores[0] - f_scores[1]
        result["difference"] = comparison(difference, bootstrap(difference, args.resamples, args.seed))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(table(result))


if __name__ == "__main__":
    main()
