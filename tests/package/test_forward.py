"""The forward that a model gets by itself, and the noise that it needs."""

import pytest
import torch
from conftest import MODELS, NO_DROPOUT, TRANSFORMER, Setup

pytest.importorskip("fairseq")


@pytest.mark.parametrize("name", ["lstm", "lstm_bidirectional"])
def test_lstm_with_unequal_lengths_trains_by_default(data_bin, caplog, name):
    """Regression: the default repeated the batch, and torch refused lengths that were no longer sorted."""
    caplog.set_level("INFO")
    setup = Setup(data_bin, MODELS[name][0].split())
    sample = setup.uneven_batch()
    for _ in range(2):
        _, _, log, _ = setup.train_step(sample)
        assert log["rdrop_kl_loss"] > 0
    lines = [line for line in caplog.messages if line.startswith("R-Drop:")]
    assert len(lines) == 1
    assert lines[0].endswith("forward separate (the LSTM takes its sentences sorted by length)")


@pytest.mark.parametrize("path", ["fused", "plain"])
def test_layer_drop_alone_makes_the_passes_differ(data_bin, path):
    """Regression: in one forward all passes dropped the same layers, and the KL was 0."""
    drop = ["--encoder-layers", "4", "--encoder-layerdrop", "0.5"]
    setup = Setup(data_bin, [*TRANSFORMER, *NO_DROPOUT, *drop], extra=["--rdrop-loss", path])
    setup.model.train()
    sample = setup.batch()
    torch.manual_seed(0)
    assert max(setup.criterion(setup.model, sample)[2]["rdrop_kl_loss"] for _ in range(5)) > 0


@pytest.mark.parametrize(
    ("flags", "extra", "warns"),
    [
        (NO_DROPOUT, [], True),
        ([], ["--rdrop-dropout", "0,0"], True),
        (NO_DROPOUT, ["--rdrop-passes", "1"], False),
        (NO_DROPOUT, ["--rdrop-cutoff", "0.1"], False),
        ([*NO_DROPOUT, "--decoder-layerdrop", "0.1"], [], False),
        (["--dropout", "0", "--activation-dropout", "0.1"], [], False),
    ],
)
def test_passes_without_noise_are_warned_of_once(data_bin, caplog, flags, extra, warns):
    """Regression: R-Drop without dropout cost double and did nothing, and nobody was told."""
    setup = Setup(data_bin, [*TRANSFORMER, *flags], extra=extra)
    for _ in range(2):
        setup.train_step(setup.batch())
    warnings = [r.getMessage() for r in caplog.records if r.levelname == "WARNING" and "R-Drop" in r.message]
    assert len(warnings) == warns
    assert all("set --dropout above 0" in warning for warning in warnings)
