#!/usr/bin/env python3
"""One table of a translation's scores: tokenised BLEU, and sacreBLEU's BLEU, chrF and TER of the plain text.

Tokenised BLEU is multi-bleu's: comparable to papers that give that, on the same tokens only. With --baseline,
each score has the p-value of sacreBLEU's paired bootstrap test against the second system.
"""

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER
from sacrebleu.significance import PairedTest, Result

Systems = list[tuple[str, Sequence[str]]]  # the system and, perhaps, the baseline
HYPHEN = re.compile(r"(\S)-(\S)")


@dataclass
class Score:
    name: str
    score: float
    signature: str
    baseline: float | None = None
    p_value: float | None = None


def split_compounds(tokens: str) -> str:
    """``a-b`` becomes three tokens, as in the papers on WMT14 since GNMT.

    Moses' ``a @-@ b`` is undone first: the score does not depend on whether the tokeniser split at dashes.
    """
    return HYPHEN.sub(r"\1 ##AT##-##AT## \2", tokens.replace(" @-@ ", "-"))


def read_lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except OSError as error:
        sys.exit(f"error: cannot read {path}: {error.strerror}")


def compute(
    systems: Systems, references: list[str], metrics: Mapping[str, Metric], samples: int
) -> list[Score]:
    """Of the first system; with two, against the second. ``metrics`` by the names for the table."""
    if len(systems) == 1:
        scored = [(m.corpus_score(systems[0][1], [references]), m.get_signature()) for m in metrics.values()]
        return [
            Score(name, score.score, str(signature))
            for name, (score, signature) in zip(metrics, scored, strict=True)
        ]
    test = PairedTest(systems[::-1], metrics, [references], test_type="bs", n_samples=samples)
    signatures, results = test()
    # sacreBLEU's test calls the difference of a system from itself, 0 in every sample, significant.
    identical = list(systems[0][1]) == list(systems[1][1])
    scores = []
    for name, key in zip(metrics, signatures, strict=True):
        baseline, system = results[key]
        if not isinstance(system, Result) or not isinstance(baseline, Result):
            raise TypeError(f"sacreBLEU's test gave no results for {name}")
        p_value = 1.0 if identical else system.p_value
        p_value = None if p_value is None else float(p_value)
        scores.append(Score(name, float(system.score), str(signatures[key]), float(baseline.score), p_value))
    return scores


def score_all(args: argparse.Namespace) -> list[Score]:
    files = [("system", args.hyp, args.hyp_tok)]
    if args.baseline:
        files.append(("baseline", *args.baseline))
    plain: Systems = [(name, read_lines(hyp)) for name, hyp, _ in files]
    tokenised: Systems = [(name, read_lines(hyp_tok)) for name, _, hyp_tok in files]
    references, references_tok = read_lines(args.ref), read_lines(args.ref_tok)
    for name, lines in [*plain, *tokenised, ("tokenised reference", references_tok)]:
        if len(lines) != len(references):
            sys.exit(f"error: the {name} has {len(lines)} lines, the reference has {len(references)}")
    title = "BLEU, tokenised"
    if args.split_compounds:
        title += ", compounds split"
        tokenised = [(name, [split_compounds(line) for line in lines]) for name, lines in tokenised]
        references_tok = [split_compounds(line) for line in references_tok]
    # multi-bleu has no smoothing
    multi_bleu = BLEU(lowercase=args.lowercase, tokenize="none", smooth_method="none", force=True)
    return [
        *compute(tokenised, references_tok, {title: multi_bleu}, args.samples),
        *compute(
            plain,
            references,
            {
                "BLEU, sacreBLEU": BLEU(lowercase=args.lowercase, tokenize=args.tokenize),
                "chrF2, sacreBLEU": CHRF(lowercase=args.lowercase),
                "TER, sacreBLEU": TER(),
            },
            args.samples,
        ),
    ]


def table(scores: list[Score]) -> str:
    width = max(len(score.name) for score in scores)
    lines = [f"{'':{width}}   system"]
    if scores[0].p_value is not None:
        lines[0] += "   baseline         p"
    for score in scores:
        line = f"{score.name:{width}}   {score.score:6.2f}"
        if score.baseline is not None and score.p_value is not None:
            line += f"   {score.baseline:8.2f}    {score.p_value:.4f}"
        lines.append(line)
    return "\n".join([*lines, "", *(f"{score.name:{width}}   {score.signature}" for score in scores)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hyp", type=Path, required=True, help="the system's output, detokenised")
    parser.add_argument("--hyp-tok", type=Path, required=True, help="the system's output, tokenised")
    parser.add_argument("--ref", type=Path, required=True, help="the reference as it came")
    parser.add_argument(
        "--ref-tok", type=Path, required=True, help="the reference, tokenised as the output is"
    )
    parser.add_argument(
        "--baseline", type=Path, nargs=2, metavar=("HYP", "HYP_TOK"), help="of a second system"
    )
    parser.add_argument("--lowercase", action="store_true", help="case does not count in BLEU and chrF")
    parser.add_argument("--split-compounds", action="store_true", help="at hyphens, in tokenised BLEU")
    parser.add_argument("--tokenize", choices=list(BLEU.TOKENIZERS), default=BLEU.TOKENIZER_DEFAULT)
    parser.add_argument("--samples", type=int, default=1000, help="of the bootstrap test (%(default)s)")
    parser.add_argument("--json", type=Path, help="the same as JSON")
    args = parser.parse_args()
    scores = score_all(args)
    print(table(scores))
    if args.json:
        text = json.dumps({"scores": [asdict(score) for score in scores]}, indent=1, ensure_ascii=False)
        args.json.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
