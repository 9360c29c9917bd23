"""fairseq trains although numpy 2 has taken out names that it uses."""

import pytest
from conftest import MODELS, TRANSFORMER, USER_DIR, run
from training import RDROP

pytest.importorskip("fairseq")

TRAINING = "--optimizer adam --lr 0.01 --max-tokens 400 --num-workers 0 --max-update 2 --no-save --seed 1"
CASES = {
    "transformer_lm_by_sentence": [*MODELS["transformer_lm"][0].split(), "--sample-break-mode", "eos"],
    "buckets": [*TRANSFORMER, "--num-batch-buckets", "2"],
}


@pytest.mark.parametrize("case", CASES)
def test_fairseq_s_data_on_this_numpy(model_data, case):
    """Regression: module 'numpy' has no attribute 'compat'; percentile() got an unexpected argument."""
    command = ["fairseq-train", model_data, "--user-dir", USER_DIR, *TRAINING.split(), *RDROP, *CASES[case]]
    log = run(*command, "--log-format", "simple").stdout
    assert "num_updates 2" in log
    assert "rdrop_kl_loss" in log
