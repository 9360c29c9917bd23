"""One table of a translation's scores: tokenised BLEU, and sacreBLEU's BLEU, chrF and TER of the plain text.

Tokenised BLEU is multi-bleu's, which is fairseq-score's: comparable to papers that give that, on the same
tokens only. Some of them split compounds at hyphens first (the authors of R-Drop, with fairseq's
compound_split_bleu.sh), some do not: --split-compounds both gives both rows. With --baseline, each score has
the p-value of sacreBLEU's paired bootstrap test against the second system. --ref A B scores against several
references, which have as many lines each. Of Chinese, Japanese and Korean, TER is normalised, and takes
Chinese and Japanese characters for words (sacreBLEU's asian support).
"""

import argparse
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER
from sacrebleu.significance import PairedTest

from rdrop_tools import cli
from rdrop_tools.lines import check_outputs, read_columns, write_json
from rdrop_tools.scoring.unspaced import CJK, is_unspaced, sacrebleu_tokenizer

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
    """``a-b`` becomes three tokens, as in the papers on WMT14 since GNMT and in compound_split_bleu.sh.

    Moses' ``a @-@ b`` is undone first: the score does not depend on whether the tokeniser split at dashes.
    (Of such tokens the script makes five, ``a @ ##AT##-##AT## @ b``; of others, the same as this.)
    """
    return HYPHEN.sub(r"\1 ##AT##-##AT## \2", tokens.replace(" @-@ ", "-"))


def compute(
    systems: Systems, references: Sequence[list[str]], metrics: Mapping[str, Metric], samples: int
) -> list[Score]:
    """Score the first system; with two, against the second. ``metrics`` by the names for the table."""
    if len(systems) == 1:
        scored = {name: metric.corpus_score(systems[0][1], references) for name, metric in metrics.items()}
        return [Score(name, s.score, str(metrics[name].get_signature())) for name, s in scored.items()]
    test: Any = PairedTest(systems[::-1], metrics, references, test_type="bs", n_samples=samples)
    signatures, results = test()
    # sacreBLEU's test calls the difference of a system from itself, 0 in every sample, significant.
    identical = list(systems[0][1]) == list(systems[1][1])
    scores = []
    for name, key in zip(metrics, signatures, strict=True):
        baseline, system = results[key]
        p_value = 1.0 if identical else float(system.p_value)
        scores.append(Score(name, float(system.score), str(signatures[key]), float(baseline.score), p_value))
    return scores


def make_bleu(tokeniser: str, lowercase: bool) -> BLEU:
    """sacreBLEU's tokenisers need packages, or download a model, when they are made."""
    try:
        return BLEU(lowercase=lowercase, tokenize=tokeniser)
    except (ImportError, OSError, RuntimeError) as error:
        raise cli.InputError(f"--tokenize {tokeniser} is not to be had here: {error}") from None


def tokenised_scores(
    systems: Systems, references: Sequence[list[str]], args: argparse.Namespace
) -> Iterator[Score]:
    # multi-bleu has no smoothing
    multi_bleu = BLEU(lowercase=args.lowercase, tokenize="none", smooth_method="none", force=True)
    if args.split_compounds != "yes":
        yield from compute(systems, references, {"BLEU, tokenised": multi_bleu}, args.samples)
    if args.split_compounds != "no":
        systems = [(name, list(map(split_compounds, lines))) for name, lines in systems]
        references = [list(map(split_compounds, lines)) for lines in references]
        metrics = {"BLEU, tokenised, compounds split": multi_bleu}
        yield from compute(systems, references, metrics, args.samples)


def check_words(path: Path, lines: list[str], bleu: BLEU, wanted: str | None) -> None:
    """Refuses a tokeniser that leaves clauses or sentences whole, and was not chosen to do so."""
    if wanted in ("13a", "none") or not is_unspaced(map(bleu.tokenizer, lines)):
        return
    tokeniser = f"the tokeniser {wanted}" if wanted else "the default tokeniser"
    raise cli.InputError(
        f"{path} has hardly a space, and {tokeniser} takes a sentence for a word: choose --tokenize "
        f"{sacrebleu_tokenizer(lines) or 'char'} or, to take it so, --tokenize 13a"
    )


def inputs(args: argparse.Namespace) -> list[Path]:
    return [path for path in (args.hyp, args.hyp_tok, *args.ref, *args.ref_tok, *args.baseline) if path]


def score_all(args: argparse.Namespace) -> list[Score]:
    bleu = make_bleu(args.tokenize or BLEU.TOKENIZER_DEFAULT, args.lowercase)
    paths = inputs(args)
    texts = dict(zip(paths, read_columns(*paths), strict=True))
    for path in (*args.ref, *args.ref_tok):
        if not any(line.strip() for line in texts[path]):
            raise cli.InputError(f"{path} has no text: there is nothing to score against")
    for path in args.ref:
        check_words(path, texts[path], bleu, args.tokenize)
    references, references_tok = ([texts[path] for path in side] for side in (args.ref, args.ref_tok))
    plain: Systems = [("system", texts[args.hyp])]
    tokenised: Systems = [("system", texts[args.hyp_tok])] if args.hyp_tok else []
    for systems, path in zip((plain, tokenised), args.baseline, strict=False):
        systems.append(("baseline", texts[path]))
    metrics: dict[str, Metric] = {"BLEU, sacreBLEU": bleu, "chrF2, sacreBLEU": CHRF(lowercase=args.lowercase)}
    is_asian = sacrebleu_tokenizer(list(chain(*references))) in CJK
    if is_asian or not any(map(is_unspaced, references)):
        metrics["TER, sacreBLEU"] = TER(normalized=is_asian, asian_support=is_asian)
    else:
        print("TER is left out: it would take whole clauses of the reference for words", file=sys.stderr)
    return [
        *(tokenised_scores(tokenised, references_tok, args) if tokenised else []),
        *compute(plain, references, metrics, args.samples),
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
    parser = cli.Parser(__doc__)
    file = cli.input_file
    parser.add_argument("--hyp", type=file, required=True, help="the system's output, detokenised")
    parser.add_argument("--hyp-tok", type=file, help="the system's output, tokenised")
    several: Any = {"nargs": "+", "action": "extend", "type": file, "metavar": "REF"}
    parser.add_argument("--ref", **several, required=True, help="the reference as it came, or several")
    parser.add_argument("--ref-tok", **several, default=[], help="as HYP_TOK is; without, no tokenised BLEU")
    second: Any = {"nargs": "+", "default": [], "type": file, "metavar": "HYP"}
    parser.add_argument("--baseline", **second, help="of a second system; then its HYP_TOK")
    parser.add_argument("--lowercase", action="store_true", help="case does not count in BLEU and chrF")
    parser.add_argument(
        "--split-compounds",
        nargs="?",
        choices=["no", "yes", "both"],
        const="yes",
        default="no",
        help="at hyphens, in tokenised BLEU (%(default)s; without a word: yes); both: a row of each",
    )
    default = BLEU.TOKENIZER_DEFAULT
    parser.add_argument("--tokenize", choices=list(BLEU.TOKENIZERS), help=f"of BLEU; without: {default}")
    samples = cli.integer(1, 1_000_000)
    parser.add_argument("--samples", type=samples, default=1000, help="of the bootstrap test (%(default)s)")
    parser.add_argument("--json", type=cli.output_file, help="the same as JSON")
    args = parser.parse_args()
    if (args.hyp_tok is None) != (not args.ref_tok):
        parser.error("--hyp-tok and --ref-tok: tokenised BLEU needs both")
    if args.ref_tok and len(args.ref) != len(args.ref_tok):
        parser.error(f"--ref has {len(args.ref)} files and --ref-tok {len(args.ref_tok)}: give as many")
    if args.baseline and len(args.baseline) != (2 if args.ref_tok else 1):
        parser.error(f"--baseline: expected HYP{' and HYP_TOK' if args.ref_tok else ''}")
    check_outputs([args.json] if args.json else [], inputs(args))
    scores = score_all(args)
    if args.json:
        write_json(args.json, {"scores": [asdict(score) for score in scores]})
    print(table(scores))


def command() -> None:
    cli.run(main)


if __name__ == "__main__":
    command()
