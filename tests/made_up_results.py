"""Results of runs as experiments/ reads them, made up for the tests of its tables and its figure."""

from experiments import training_time
from experiments.evidence import CHRF, SACREBLEU, TESTS
from experiments.runs import AVERAGES

SECONDS = {
    training_time.PLAIN: 1.0,
    training_time.RDROP: 2.0,
    training_time.IN_TREE: 3.0,
    training_time.PLAIN_FUSED: 0.9,
    training_time.EVERY_2ND: 1.5,
}


def made_up_systems():
    """Plain training and two schedules of R-Drop; and, begun with the plain one, a finish and its control."""
    plain = two_seeds("plain-long", ([30, 34, 33, 35], 36.0), ([30, 32, 34, 35], 37.0))
    every, every_2nd = ([31, 33, 37, 36], 38.0), ([31, 34, 37, 38], 38.5)
    interval = {"flags": ["--rdrop-interval", "2"]}
    return {
        "plain-long": plain,
        "rdrop-long": two_seeds("rdrop-long", every, ([31, 33, 36, 38], 40.0), against="plain-long"),
        "interval-2-long": two_seeds(
            "interval-2-long", every_2nd, every_2nd, against="plain-long", **interval
        ),
        "finish-plain": two_seeds("finish-plain", *[([34, 36], 37.0)] * 2, starts=plain),
        "finish": two_seeds(
            "finish", *[([36, 38], 39.5)] * 2, against="finish-plain", starts=plain, **interval
        ),
    }


def two_seeds(system, *bleus_and_test_bleu, against="", flags=(), starts=(None, None)):
    """With a validation every 60 updates. BLEU on valid at beam 5 is about that on the test sets."""
    results = []
    for seed, ((bleus, test_bleu), start) in enumerate(zip(bleus_and_test_bleu, starts, strict=True), 1):
        curve = [
            {"update": 60 * number, "bleu": bleu, "nll": 2.5 - bleu / 100, "train_nll": 2.0}
            for number, bleu in enumerate(bleus, 1)
        ]
        averages = AVERAGES[:2] if start else AVERAGES
        valid = {average: {SACREBLEU: {"score": test_bleu + i / 10}} for i, average in enumerate(averages)}
        bleu = {"score": test_bleu, "signature": "of BLEU", "p_value": 0.09 / seed}
        chrf = {"score": test_bleu + 20, "signature": "of chrF2"}
        test = {name: {SACREBLEU: bleu, CHRF: chrf} for name in TESTS}
        result = {"system": system, "seed": seed, "criterion": "rdrop" if against else "plain", "from": start}
        result |= {"pairs": "all", "parameters": 7_000_000, "curve": curve, "baseline": against}
        result |= {"scores": {"valid": valid, "test": test, "against": {"test": test}}, "flags": [*flags]}
        results.append(result)
    return results
