"""What the fused loss costs in operations and in memory; the scripts that measure it."""

import csv
import sys

import pytest
import reference
import torch
import torch.nn.functional as F
from conftest import SCRIPTS, run

from rdrop_fairseq import linear_rdrop_loss
from scripts.benchmarks import bench

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
@pytest.mark.parametrize("pads", [0, 100])
def test_three_matrix_products_and_none_for_pads(passes, pads):
    tokens, vocab, dim = 300, 500, 64
    ours, _ = make_losses(tokens, vocab, dim, pads, passes)
    product = 2 * passes * (tokens - pads) * vocab * dim / 1e9
    assert bench.gflop(ours) == pytest.approx(3 * product, rel=1e-3)


def test_peak_memory_is_that_of_a_chunk():
    """A fifteenth of the authors' formula, and with four times the tokens only their gradient more."""
    vocab, dim = 16000, 32
    ours, authors = make_losses(1024, vocab, dim)
    peak = bench.peak_mib(ours, "cpu")
    assert peak <= bench.peak_mib(authors, "cpu") / 15
    of_more = bench.peak_mib(make_losses(4096, vocab, dim)[0], "cpu")
    more_hidden = 2 * (4096 - 1024) * dim * 4 / 2**20
    assert of_more - peak <= 1.5 * more_hidden


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_benchmark_loss_and_its_plot(tmp_path):
    table, plot = tmp_path / "loss.csv", tmp_path / "loss.png"
    sizes = "--device cpu --repeats 2 --tokens 20 --vocab 50 80 --dim 8 --chunk-size 7".split()
    run(sys.executable, SCRIPTS / "benchmarks" / "benchmark_loss.py", *sizes, "--out", table)
    names = {row["contestant"] for row in rows(table)}
    assert {"matrix products", "authors' formula", "fairseq in-tree", "linear_rdrop_loss, chunk 7"} <= names
    assert all(float(row["median_ms"]) > 0 and row["commit"] and row["torch"] for row in rows(table))
    run(sys.executable, SCRIPTS / "benchmarks" / "plot_benchmark.py", table, "--tokens", "20", "-o", plot)
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_benchmark_step(tmp_path):
    """K passes cost K times the operations of plain training, and nothing for pads."""
    table = tmp_path / "step.csv"
    sizes = "--device cpu --repeats 2 --layers 1 --dim 16 --vocab 60 --tokens 100 --passes 3".split()
    run(sys.executable, SCRIPTS / "benchmarks" / "benchmark_step.py", *sizes, "--out", table)
    ratios = {row["criterion"]: float(row["gflop_over_plain"]) for row in rows(table)}
    assert ratios["ours, before --rdrop-start-update"] == 1
    assert ratios["ours, plain loss"] == pytest.approx(2, abs=0.01)
    assert 1.5 < ratios["ours, fused loss"] == ratios["ours, fused loss, separate forwards"] < 2
    assert ratios["ours, fused loss"] < ratios["ours, fused loss, 3 passes"] < 3
