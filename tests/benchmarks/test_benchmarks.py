"""What the fused loss costs in operations and in memory; the scripts that measure it."""

import csv
import functools

import pytest
import torch
import torch.nn.functional as F
from bad_input import assert_one_line, assert_refused, call_here
from conftest import ROOT
from devices import gpu
from fairseq import options
from omegaconf import OmegaConf

from benchmarks import bench, benchmark_step, reference, rivals
from rdrop_fairseq import linear_rdrop_loss
from rdrop_fairseq.losses.fused import Options, linear_rdrop_sums

PAD = 1
OPTIONS = {"alpha": 5.0, "label_smoothing": 0.1, "ignore_index": PAD}


def make_losses(tokens, vocab, dim, pads=0, passes=2):
    """(ours, the authors'), each a call of forward and backward with the projection"""
    torch.manual_seed(0)
    hidden = torch.randn(passes * tokens, dim, requires_grad=True)
    weight = torch.randn(vocab, dim, requires_grad=True)
    target = torch.randint(2, vocab, (tokens,))
    target[:pads] = PAD

    def ours():
        loss = linear_rdrop_loss(hidden, weight, target, passes=passes, **OPTIONS).loss
        return torch.autograd.grad(loss, (hidden, weight))

    def authors():
        loss = reference.authors_rdrop(F.linear(hidden, weight), target, **OPTIONS)
        return torch.autograd.grad(loss, (hidden, weight))

    return ours, authors


@pytest.mark.parametrize("passes", [1, 2, 3])
def test_three_matrix_products_and_none_for_pads(passes):
    tokens, vocab, dim, pads = 300, 500, 64, 100
    ours, _ = make_losses(tokens, vocab, dim, pads, passes)
    product = 2 * passes * (tokens - pads) * vocab * dim / 1e9
    assert bench.gflop(ours) == pytest.approx(3 * product, rel=1e-3)


def test_peak_memory_is_that_of_a_chunk():
    """The peak is a fifteenth of the authors'; four times the tokens add no more than their gradient."""
    vocab, dim = 16000, 32
    ours, authors = make_losses(1024, vocab, dim)
    peak = bench.peak_mib(ours, "cpu")
    assert peak <= bench.peak_mib(authors, "cpu") / 15
    of_more = bench.peak_mib(make_losses(4096, vocab, dim)[0], "cpu")
    more_hidden = 2 * (4096 - 1024) * dim * 4 / 2**20
    assert of_more - peak <= 1.5 * more_hidden


def test_traffic_is_that_of_the_operators():
    """What is read and written, each tensor once; nothing for views, allocations, or what out held before."""
    a, b = torch.zeros(100, 100), torch.zeros(100, 100)
    out = torch.zeros(100, 100)
    for call, tensors, operators in (
        (lambda: torch.mm(a.t(), b[:, :100], out=out), 3, 1),
        (lambda: a.add_(b).view(-1), 3, 1),
        (lambda: torch.empty_like(a), 0, 0),
        (lambda: a.sum(), 1.0001, 1),
    ):
        assert bench.traffic(call) == (tensors * 40_000, operators)


def test_what_the_loss_moves_on_a_gpu():
    """Counted on meta: 20 bytes a logit at most, 24 with few classes, by 60 operators for four chunks.

    Regression: it moved 159 and 161, by 157 operators.
    """
    pytest.importorskip("triton")
    tokens = 4096
    target = torch.empty(tokens, dtype=torch.long, device="meta")
    options = Options(5.0, 2, 0.1, PAD, 1.0, max_positions=tokens)
    kind = {"dtype": torch.bfloat16, "device": "meta", "requires_grad": True}
    for vocab, most in ((32768, 20), (10152, 24)):
        inputs = torch.empty(2 * tokens, 512, **kind), torch.empty(vocab, 512, **kind)
        loss = functools.partial(linear_rdrop_sums, *inputs, None, target, options)
        moved, operators = bench.traffic(lambda loss=loss: loss()[0].backward())
        assert 15 < moved / (2 * tokens * vocab) <= most
        assert operators <= 60


@pytest.mark.cuda
def test_peak_memory_where_the_call_resets_it():
    """Regression: fairseq's trainer resets torch's peak when a step ends, and next to nothing was left."""
    device = gpu()

    def step():
        torch.empty(2**22, dtype=torch.uint8, device=device)
        torch.cuda.reset_peak_memory_stats()

    assert bench.peak_mib(step, "cuda") == 4


def table_of(folder, script, *arguments):
    """The rows of the CSV that the benchmark leaves of one round."""
    path = folder / "table.csv"
    assert call_here(script, "--device", "cpu", "--repeats", "1", *arguments, "--out", path).code == 0
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_benchmark_loss(tmp_path):
    sizes = "--tokens 20 --vocab 50 80 --dim 8 --chunk-size 7".split()
    rows = table_of(tmp_path, "benchmark_loss", *sizes)
    names = {row["contestant"] for row in rows}
    assert {"matrix products", "authors' formula", "fairseq in-tree", "linear_rdrop_loss, chunk 7"} <= names
    assert all(float(row["median_ms"]) > 0 and row["commit"] and row["torch"] for row in rows)


def test_benchmark_loss_of_one_pass(tmp_path):
    sizes = "--tokens 20 --vocab 50 --dim 8 --passes 1 --rivals".split()
    names = [row["contestant"] for row in table_of(tmp_path, "benchmark_loss", *sizes)]
    assert names == ["matrix products", "fairseq plain, one pass", "rdrop_loss", "linear_rdrop_loss"]


SIZES = "--layers 1 --dim 16 --ffn 32 --vocab 60 --max-tokens 100 --length 9".split()


def test_benchmark_step(tmp_path):
    """K passes cost K times the operations of plain training, and nothing for pads; one round is enough."""
    rows = table_of(tmp_path, "benchmark_step", "--settings", "multi30k", *SIZES, "--all", "--passes", "3")
    found = {row["criterion"]: row for row in rows}
    assert len(found) == 9
    assert list(found)[:5] == list(benchmark_step.CRITERIONS)
    assert all(float(row["median_ms"]) > 0 and float(row["peak_mib"]) > 0 for row in rows)
    ratios = {name: float(row["gflop_over_plain"]) for name, row in found.items()}
    assert ratios["ours, before --rdrop-start-update"] == ratios["ours, fused loss, 1 pass"] < 1
    assert ratios["ours, plain loss"] == pytest.approx(2, abs=0.01)
    assert ratios["fairseq in-tree R-Drop"] == pytest.approx(2, abs=0.01)
    assert 1.5 < ratios["ours, fused loss"] == ratios["ours, fused loss, separate forwards"] < 2
    assert ratios["ours, fused loss"] < ratios["ours, fused loss, 3 passes"] < 3
    of_both_kinds = (ratios["ours, fused loss, 1 pass"] + ratios["ours, fused loss"]) / 2
    assert ratios["ours, fused loss, every 2nd update"] == pytest.approx(of_both_kinds, abs=0.002)


def test_benchmark_step_of_two_settings_in_bf16(tmp_path):
    settings = ["--settings", "small", "iwslt", "--dtype", "bf16"]
    rows = table_of(tmp_path, "benchmark_step", *settings, *SIZES)
    found = [(row["setting"], row["dtype"], row["criterion"]) for row in rows]
    assert found == [(name, "bf16", c) for name in ("small", "iwslt") for c in benchmark_step.CRITERIONS]


def test_the_multi30k_setting_is_that_of_the_recipe():
    """The setting from which an update's undisturbed time is read has the sizes of the recipe."""
    config = ROOT / "examples" / "translation" / "config" / "multi30k.yaml"
    recipe = OmegaConf.load(config)
    setting = benchmark_step.SETTINGS["multi30k"]
    flags, dictionary = benchmark_step.CRITERIONS["plain"], benchmark_step.make_dictionary(60)
    trainer = benchmark_step.make_trainer(flags, setting, dictionary, "cpu", "fp32")
    for name, value in recipe.model.items():
        if name != "_name":
            assert getattr(trainer.cfg.model, name) == value, name
    assert trainer.cfg.dataset.max_tokens == recipe.dataset.max_tokens
    assert trainer.cfg.criterion.label_smoothing == recipe.criterion.label_smoothing


def test_the_settings_of_a_gpu_are_those_of_fairseqs_architectures():
    """Layers, widths and heads; the dropout of wmt-big is that of the recipe, and of the paper."""
    for name, arch in {
        "iwslt": "transformer_iwslt_de_en",
        "wmt-base": "transformer_wmt_en_de",
        "wmt-big": "transformer_vaswani_wmt_en_de_big",
    }.items():
        args = options.parse_args_and_arch(options.get_training_parser(), ["data", "--arch", arch])
        setting = benchmark_step.SETTINGS[name]
        expected = [setting.layers, setting.dim, setting.ffn, setting.heads, bool(setting.pre_norm)]
        for side in ("encoder", "decoder"):
            names = ("layers", "embed_dim", "ffn_embed_dim", "attention_heads", "normalize_before")
            assert [getattr(args, f"{side}_{each}") for each in names] == expected, name


def test_rivals_take_part_where_they_are_installed():
    """A rival that is not there, or refuses, is left out; torch's own has our loss."""
    torch.manual_seed(0)
    hidden, weight = (torch.randn(*shape, requires_grad=True) for shape in ((20, 8), (50, 8)))
    target = torch.randint(2, 50, (20,))
    target[3] = PAD
    found = rivals.rivals(hidden, weight, target, 0.0, PAD)
    assert set(found) <= set(rivals.RIVALS)
    assert ("torch linear_cross_entropy" in found) == hasattr(F, "linear_cross_entropy")
    expected = linear_rdrop_loss(hidden, weight, target, passes=1, ignore_index=PAD).loss
    for name, loss in found.items():
        torch.testing.assert_close(loss(hidden, weight, target), expected, msg=name)
    assert "torch linear_cross_entropy" not in rivals.rivals(hidden, weight, target, 0.1, PAD)


def test_the_batch_of_a_setting_is_one_of_fairseqs():
    """A batch is as Multi30k's mean of 537 an epoch: 54 sentences and 882 target tokens."""
    setting = benchmark_step.SETTINGS["multi30k"]
    dictionary = benchmark_step.make_dictionary(setting.vocab)
    assert len(dictionary) == 6044 + 4
    batch = benchmark_step.make_batch(setting, dictionary)
    assert batch["nsentences"] == pytest.approx(54, abs=4)
    assert batch["ntokens"] == pytest.approx(882, abs=40)
    source, target = batch["net_input"]["src_tokens"], batch["target"]
    assert max(source.numel(), target.numel()) <= setting.max_tokens
    assert 0 < target.eq(dictionary.pad()).sum() == target.numel() - batch["ntokens"]


def test_a_machine_without_git_or_with_one_round(monkeypatch):
    """Regression: the rows were lost at the end, in a traceback."""
    monkeypatch.setenv("PATH", "")
    assert bench.provenance("cpu")["commit"] == "unknown"
    assert bench.summary([3.0]) == {"median_ms": 3.0, "p20_ms": 3.0, "p80_ms": 3.0}
    assert bench.summary([1.0, 2.0, 4.0]) == {"median_ms": 2.0, "p20_ms": 1.4, "p80_ms": 3.2}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--dim 130 --settings small", "--dim 130 is no multiple of --heads 4"),
        ("--dtype fp16", "--dtype fp16 needs a GPU"),
        ("--profile trace.json", "--profile takes one of --settings and one --dtype"),
    ],
)
def test_what_does_not_go_together(tmp_path, arguments, message):
    assert_refused("benchmark_step", [*arguments.split(), "--device", "cpu"], message, tmp_path)


def test_sizes_that_no_memory_holds():
    arguments = "--device cpu --repeats 1 --tokens 4 --vocab 900000000000000 --dim 4".split()
    assert_one_line(call_here("benchmark_loss", *arguments), "not enough memory")
