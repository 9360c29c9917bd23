"""What is repaired of fairseq (repairs.py); more in test_cli.py and test_other_tasks.py."""

import pytest
from conftest import MODELS, TRANSFORMER, Setup
from training import train

pytest.importorskip("fairseq")

from fairseq.logging import metrics


def scored(counts, totals, sys_len, ref_len):
    """The logging output of a validation batch."""
    log = {"loss": 3.0, "nll_loss": 3.0, "ntokens": 9, "nsentences": 2, "sample_size": 9}
    log.update({f"_bleu_counts_{n}": count for n, count in enumerate(counts)})
    log.update({f"_bleu_totals_{n}": total for n, total in enumerate(totals)})
    return {**log, "_bleu_sys_len": sys_len, "_bleu_ref_len": ref_len}


EMPTY = scored([0] * 4, [0] * 4, 0, 9)
GOOD = scored([8, 6, 4, 3], [9, 8, 7, 6], 9, 9)


def test_outputs_that_are_all_empty_have_bleu_0(data_bin):
    """Regression: fairseq logged none, and a training that keeps the best by BLEU ended in a KeyError.

    Batches with outputs before or after count as ever, and a step of training has no BLEU.
    """
    setup = Setup(data_bin, [*TRANSFORMER, "--eval-bleu"])

    def bleu(*batches):
        with metrics.aggregate() as meters:
            for batch in batches:
                setup.task.reduce_metrics([batch], setup.criterion)
        return meters.get_smoothed_values().get("bleu")

    assert bleu(EMPTY) == bleu(EMPTY, EMPTY) == 0.0
    together = scored([8, 6, 4, 3], [9, 8, 7, 6], 9, 18)
    assert bleu(EMPTY, GOOD) == bleu(GOOD, EMPTY) == bleu(together) > 10
    training = {key: value for key, value in GOOD.items() if "bleu" not in key}
    assert bleu(training) is None


NUMPY = {
    "transformer_lm_by_sentence": [*MODELS["transformer_lm"][0].split(), "--sample-break-mode", "eos"],
    "buckets": [*TRANSFORMER, "--num-batch-buckets", "2"],
}


@pytest.mark.parametrize("case", NUMPY)
def test_fairseq_s_data_on_this_numpy(model_data, tmp_path, case):
    """Regression: module 'numpy' has no attribute 'compat'; percentile() got an unexpected argument."""
    flags = ["--max-update", "2", "--no-save", "--log-format", "simple"]
    log = train(model_data, tmp_path, *flags, model=NUMPY[case])
    assert "num_updates 2" in log or "num_updates=2" in log
    assert "rdrop_kl_loss" in log
