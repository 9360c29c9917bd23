"""How the passes are made: repeated batch or separate forwards, by default what the model needs; noise."""

import pytest
import torch
from conftest import MODELS, NO_DROPOUT, OFFICIAL, TRANSFORMER, Setup, check_gradients, check_log

pytest.importorskip("fairseq")

from fairseq.modules import FairseqDropout

from rdrop_fairseq.errors import RDropError
from rdrop_fairseq.noise import dropout_scaled_to

SEPARATE = ["--rdrop-forward", "separate"]
LIGHTCONV = [*MODELS["lightconv"][0].split(), "--weight-dropout", "0"]


@pytest.mark.parametrize("flags", [TRANSFORMER, LIGHTCONV], ids=["transformer", "lightconv"])
@pytest.mark.parametrize("path", ["fused", "plain"])
@pytest.mark.parametrize("passes", ["2", "3"])
def test_separate_forwards_are_one_over_the_repeated_batch(data_bin, model_device, flags, path, passes):
    """Loss, log and gradients are the same without dropout. (An lstm takes no repeated batch.)

    Regression: lightconv had its attention dropout on, and torch 2.13 happened to draw the same for both.
    """
    if OFFICIAL and flags is LIGHTCONV and path == "fused":
        pytest.skip("no projection to fuse with")
    extra = ["--rdrop-loss", path, "--rdrop-passes", passes, "--report-accuracy"]
    no_dropout = NO_DROPOUT if flags is TRANSFORMER else NO_DROPOUT[:4]  # it has no --activation-dropout
    concat, separate = (
        Setup(data_bin, [*flags, *no_dropout], extra=[*extra, *forward], device=model_device)
        for forward in (["--rdrop-forward", "concat"], SEPARATE)
    )
    sample = concat.batch()
    expected, got = concat.train_step(sample), separate.train_step(sample, concat.model)
    torch.testing.assert_close(got[0], expected[0])
    keys = ("loss", "nll_loss", "n_correct", "total", "sample_size")
    check_log(got[2], expected[2], keys, rtol=1e-7, atol=1e-7)
    check_gradients(got[3], expected[3])


def test_input_that_cannot_be_repeated_needs_separate_forwards(data_bin, caplog):
    """Regression: the default failed in the step with a traceback, where it could take separate forwards."""
    caplog.set_level("INFO")
    reason = (
        "cannot repeat net_input['return_all_hiddens']['x']: its dimension 0 is 3, the batch has 6 sentences"
    )
    concat = Setup(data_bin, TRANSFORMER, extra=["--rdrop-forward", "concat"])
    auto, separate = Setup(data_bin, TRANSFORMER), Setup(data_bin, TRANSFORMER, extra=SEPARATE)
    good = concat.batch()
    bad = {**good, "net_input": {**good["net_input"], "return_all_hiddens": {"x": torch.zeros(3)}}}
    expected = separate.train_step(bad)[2]["rdrop_kl_loss"]
    assert auto.train_step(bad, separate.model)[2]["rdrop_kl_loss"] == expected > 0
    assert caplog.messages[-1].endswith(f"forward separate ({reason})")
    # A later batch: concat ends the training, auto changes for good.
    later = Setup(data_bin, TRANSFORMER)
    for setup in (concat, later):
        setup.train_step(good, separate.model)
    with pytest.raises(RDropError) as error:
        concat.train_step(bad)
    assert str(error.value) == f"--rdrop-forward concat: {reason}; use auto or separate"
    for sample in (bad, good):
        log = later.train_step(sample, separate.model)[2]
        assert log["rdrop_kl_loss"] == separate.train_step(sample)[2]["rdrop_kl_loss"]
    assert caplog.messages.count(f"R-Drop: forward separate from now on ({reason})") == 1
    good["net_input"]["return_all_hiddens"] = torch.tensor(0)
    assert concat.train_step(good)[2]["rdrop_kl_loss"] > 0


def kept(model):
    """Records (pass, name, share of its input that it kept, size) of every dropout of a step."""
    seen, passes = [], []
    model.encoder.register_forward_pre_hook(lambda *_: passes.append(1))

    def hook(name):
        def record(_, inputs, output):
            ones = inputs[0] != 0
            seen.append((len(passes), name, (output[ones] != 0).double().mean().item(), int(ones.sum())))

        return record

    for name, module in model.named_modules():
        if isinstance(module, FairseqDropout) and module.p > 0:
            module.register_forward_hook(hook(name))
    return seen


@pytest.mark.parametrize("path", ["fused", "plain"])
def test_every_pass_has_its_dropout_rate(data_bin, model_device, path):
    """The shares of activations that are kept show it; activation dropout is half of the main rate."""
    flags = [*TRANSFORMER, "--dropout", "0.2", "--activation-dropout", "0.1"]
    extra = [*SEPARATE, "--rdrop-passes", "3", "--rdrop-dropout", "0.1,0.4,0", "--rdrop-loss", path]
    setup = Setup(data_bin, flags, extra=extra, device=model_device)
    sample = setup.batch(max_sentences=64)
    setup.choose(sample)
    seen = kept(setup.model)
    setup.train_step(sample)
    main = {1: 0.1, 2: 0.4, 3: 0.0}
    assert {number for number, *_ in seen} == set(main)
    assert any("activation" in name for _, name, *_ in seen)
    for number, name, share, count in seen:
        rate = main[number] * (0.5 if "activation" in name else 1)
        bound = 5 * (rate * (1 - rate) / count) ** 0.5  # 5 standard errors
        assert abs(share - (1 - rate)) <= bound, (number, name, share)


def test_rates_of_attention_and_of_an_lstm_follow_and_come_back(data_bin):
    """Every rate is scaled, also that between an LSTM's layers; an error leaves them as they were."""
    attention = Setup(data_bin, [*TRANSFORMER, "--dropout", "0.2", "--attention-dropout", "0.1"]).model
    module = attention.encoder.layers[0].self_attn.dropout_module
    layers = "--encoder-layers 2 --decoder-layers 2 --dropout 0.2".split()
    lstm = Setup(data_bin, [*MODELS["lstm"][0].split(), *layers]).model

    @dropout_scaled_to(attention, 0.4)
    @dropout_scaled_to(lstm, 0.4)
    def fails():
        assert module.p == pytest.approx(0.2)
        assert lstm.encoder.lstm.dropout == pytest.approx(0.4)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert module.p == 0.1
    assert lstm.encoder.lstm.dropout == 0.2


@pytest.mark.parametrize("mode", ["concat", "separate"])
@pytest.mark.parametrize("cutoff", ["0", "0.3"])
def test_recomputed_activations_give_the_same_gradient(data_bin, model_device, mode, cutoff):
    """--checkpoint-activations draws the same dropout, and the same cutoff, again."""
    extra = ["--rdrop-forward", mode, "--rdrop-cutoff", cutoff]
    stored, recomputed = (
        Setup(data_bin, [*TRANSFORMER, *more], extra=extra, device=model_device)
        for more in ([], ["--checkpoint-activations"])
    )
    recomputed.model.load_state_dict(stored.model.state_dict())
    sample = stored.batch()
    expected, got = stored.train_step(sample), recomputed.train_step(sample)
    torch.testing.assert_close(got[0], expected[0])
    check_gradients(got[3], expected[3])


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
