"""Results of runs as experiments/ reads them, made up for the tests of its tables and figures."""

from experiments import evidence, tables, training_time
from experiments.runs import AVERAGES

SECONDS = {
    training_time.PLAIN: 1.0,
    training_time.RDROP: 2.0,
    training_time.IN_TREE: 3.0,
    training_time.PLAIN_FUSED: 0.9,
    training_time.EVERY_2ND: 1.5,
}


def result(system, seed, bleus, test_bleu, against="", flags=""):
    """A run with a validation every 60 updates."""
    curve = [
        {"update": 60 * (i + 1), "bleu": bleu, "nll": 2.5 - bleu / 100, "train_nll": 2.0}
        for i, bleu in enumerate(bleus)
    ]
    metrics = (evidence.SACREBLEU, evidence.CHRF, evidence.LOWERCASED)
    test = {
        name: {m: {"score": test_bleu, "signature": f"of {m}"} for m in metrics} for name in tables.PUBLISHED
    }
    valid = {
        average: {evidence.SACREBLEU: {"score": test_bleu + i / 10}} for i, average in enumerate(AVERAGES)
    }
    scores = {"valid": valid, "average": "last:5", "test": test}
    if against:
        p = {name: {m: {"score": test_bleu, "p_value": 0.25 / seed} for m in metrics} for name in test}
        scores["against"] = {"run": f"{against}-{seed}", "test": p}
    return {
        "system": system,
        "seed": seed,
        "criterion": "rdrop" if against else "plain",
        "pairs": "all",
        "parameters": 7_000_000,
        "curve": curve,
        "scores": scores,
        "baseline": against,
        "flags": flags.split(),
        "listed": 2,
        "from": None,
    }


def two_seeds(system, *rest, **more):
    return {system: [result(system, seed, *rest, **more) for seed in (1, 2)]}


def interval_2(against):
    """A schedule besides R-Drop."""
    return two_seeds("interval-2", [31, 34, 37, 38], 38.5, against, flags="--rdrop-interval 2")


def two_systems():
    """Plain training and R-Drop, with two seeds each, all scored."""
    return {
        "plain-d0.3": [
            result("plain-d0.3", 1, [30, 34, 33, 35], 36.0),
            result("plain-d0.3", 2, [30, 32, 34, 35], 37.0),
        ],
        "rdrop-a2": [
            result("rdrop-a2", 1, [31, 33, 37, 36], 38.0, "plain-d0.3"),
            result("rdrop-a2", 2, [31, 33, 36, 38], 40.0, "plain-d0.3"),
        ],
    }
