"""Token cutoff: which embeddings are zero, in which pass, on which side."""

import pytest
import torch
from conftest import MODELS, NO_DROPOUT, TRANSFORMER, Setup

pytest.importorskip("fairseq")

from rdrop_fairseq.noise import dropout_scaled_to
from rdrop_fairseq.passes import Passes

TIED = [*TRANSFORMER, *NO_DROPOUT, "--share-all-embeddings"]
FORWARDS = ["concat", "separate"]


class Lookups:
    """Records which embeddings the model gets as zeros: [[(tokens, is zero) a lookup] a forward].

    The embedding of padding is made 1, so that a cut of it would show.
    """

    def __init__(self, model, padding_idx):
        self.forwards = []
        tables = {m.embed_tokens for m in model.modules() if hasattr(m, "embed_tokens")}
        for table in tables:
            table.weight.data[padding_idx] = 1.0
        handles = []

        def start(*_):  # hooks run in the order of their registration: these come after the criterion's
            self.forwards.append([])
            handles.extend(table.register_forward_hook(self.record) for table in tables)

        def end(*_):
            while handles:
                handles.pop().remove()

        model.register_forward_pre_hook(start)
        model.register_forward_hook(end)

    def record(self, table, inputs, output):
        self.forwards[-1].append((inputs[0], output.eq(0).all(-1)))  # at once: fconv adds positions in place

    def by_pass(self, passes):
        """[(tokens, is zero) a pass] for each lookup of a forward (source, decoder input)."""
        if len(self.forwards) == 1:  # over the repeated batch
            return [[*zip(tokens.chunk(passes), zero.chunk(passes))] for tokens, zero in self.forwards[0]]
        assert len(self.forwards) == passes
        return [*zip(*self.forwards)]


def check_shares(lookups, rate, padding_idx):
    """Zeros are within 5 standard errors of the rate in every pass but the first, and nowhere else."""
    for lookup in lookups:
        for number, (tokens, zero) in enumerate(lookup):
            assert not zero[tokens == padding_idx].any()
            cut = zero[tokens != padding_idx].double()
            expected = rate if number > 0 else 0.0
            bound = 5 * (expected * (1 - expected) / cut.numel()) ** 0.5
            assert abs(cut.mean().item() - expected) <= bound, number
        for number in range(2, len(lookup)):
            assert not lookup[number][1].equal(lookup[number - 1][1])  # drawn anew in every pass


CASES = [(name, "") for name in MODELS]
CASES += [
    ("transformer_wmt_en_de", f"--rdrop-passes 3 --rdrop-loss {path} --rdrop-forward {forward}")
    for path in ("fused", "plain")
    for forward in FORWARDS
]


@pytest.mark.parametrize(("name", "flags"), CASES)
def test_share_of_zeros_per_pass_and_side(model_data, model_device, name, flags):
    """Each side is cut at the rate, also where one tied table serves both and the projection.

    Cutoff alone makes the passes differ where there is no dropout; evaluation knows nothing of it.
    """
    extra = ["--rdrop-cutoff", "0.3", *flags.split()]
    setup = Setup(model_data, MODELS[name][0].split(), extra=extra, device=model_device)
    padding_idx = setup.criterion.padding_idx
    sample = setup.uneven_batch(100) if flags else setup.batch(max_sentences=64)
    setup.choose(sample)
    seen = Lookups(setup.model, padding_idx)
    with dropout_scaled_to(setup.model, 0.0):
        loss, _, log, grads = setup.train_step(sample)
    assert log["rdrop_kl_loss"] > 0
    assert loss.isfinite()
    assert all(grad.isfinite().all() for grad in grads.values())
    lookups = seen.by_pass(3 if flags else 2)
    assert len(lookups) == (1 if name == "transformer_lm" else 2)
    check_shares(lookups, 0.3, padding_idx)
    if flags:
        for lookup, side in zip(lookups, ("src_tokens", "prev_output_tokens")):
            assert all(tokens.equal(sample["net_input"][side]) for tokens, _ in lookup)
            assert (sample["net_input"][side] == padding_idx).any()
    seen.forwards.clear()
    setup.valid_step(sample)
    assert not any(zero.any() for _, zero in seen.forwards[0])
    for table in (m.embed_tokens for m in setup.model.modules() if hasattr(m, "embed_tokens")):
        assert not table._forward_hooks  # a step leaves nothing behind


@pytest.mark.parametrize("forward", FORWARDS)
def test_the_first_pass_and_a_tied_projection_stay_whole(data_bin, model_device, forward):
    """The logits of the first pass are the model's own, though nearly every embedding of the second is 0."""
    extra = ["--rdrop-cutoff", "0.9", "--rdrop-loss", "plain", "--rdrop-forward", forward]
    setup = Setup(data_bin, TIED, extra=extra, device=model_device)
    model, sample = setup.model, setup.uneven_batch()
    assert model.decoder.output_projection.weight is model.encoder.embed_tokens.weight
    setup.choose(sample)
    logits = []
    model.decoder.output_projection.register_forward_hook(lambda *parts: logits.append(parts[2].detach()))
    setup.train_step(sample)
    passes = logits if forward == "separate" else logits[0].chunk(2)
    expected = model(**sample["net_input"])[0]
    torch.testing.assert_close(passes[0], expected.detach())
    assert (passes[1] - expected).abs().amax() > 0.1


def test_a_single_pass_is_cut(data_bin):
    cut, whole = (
        Setup(data_bin, TIED, extra=["--rdrop-passes", "1", "--rdrop-cutoff", rate]) for rate in ("0.9", "0")
    )
    sample = cut.batch()
    assert abs(cut.train_step(sample)[0] - whole.train_step(sample, cut.model)[0]) > 0.1


def test_model_without_token_embeddings_is_refused():
    with pytest.raises(ValueError, match=r"--rdrop-cutoff needs .*embed_tokens"):
        Passes(2, "auto", cutoff=0.1).choose(torch.nn.Linear(2, 2), {})
