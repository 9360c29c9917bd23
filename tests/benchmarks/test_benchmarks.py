"""What the fused loss costs in operations and in memory; the scripts that measure it."""

import csv
from argparse import Namespace

import pytest
import torch
import torch.nn.functional as F
from bad_input import assert_one_line, assert_refused, call_here
from conftest import ROOT
from devices import gpu
from fairseq import options
from omegaconf import OmegaConf
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks import bench, benchmark_huggingface, benchmark_loss, benchmark_step, rivals
from rdrop_fairseq import linear_rdrop_loss
from rdrop_fairseq.losses.fused import Options, linear_rdrop_sums

ARGUMENTS = {"dtype": "float32", "device": "cpu", "max_gib": 1, "chunk_size": [], "label_smoothing": 0.0}


@pytest.mark.parametrize("passes", [1, 2, 3])
def test_three_matrix_products_and_none_for_pads(passes):
    tokens, vocab, dim, pads = 300, 500, 64, 100
    hidden = torch.randn(passes * tokens, dim, requires_grad=True)
    weight = torch.randn(vocab, dim, requires_grad=True)
    target = torch.arange(tokens)
    target[:pads] = -100

    def step():
        linear_rdrop_loss(hidden, weight, target, alpha=5.0, passes=passes).loss.backward()

    product = 2 * passes * (tokens - pads) * vocab * dim / 1e9
    assert bench.gflop(step) == pytest.approx(3 * product, rel=1e-3)


def test_peak_memory_is_that_of_a_chunk():
    """The peak is a fifteenth of the authors'; four times the tokens add no more than their gradient."""
    dim = 32
    few, many = (
        benchmark_loss.make_contestants(tokens, 16000, Namespace(dim=dim, passes=2, **ARGUMENTS))
        for tokens in (1024, 4096)
    )
    peak = bench.peak_mib(few["linear_rdrop_loss"], "cpu")
    assert peak <= bench.peak_mib(few["authors' formula"], "cpu") / 15
    more_hidden = 2 * (4096 - 1024) * dim * 4 / 2**20
    assert bench.peak_mib(many["linear_rdrop_loss"], "cpu") - peak <= 1.5 * more_hidden


class Traffic(TorchDispatchMode):
    """The bytes that each operator of torch reads and writes, each tensor once; views are none."""

    def __init__(self):
        super().__init__()
        self.bytes = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        aliases = [value.alias_info for value in func._schema.returns]
        view = any(alias is not None and not alias.is_write for alias in aliases)
        if not view and "empty" not in func.__name__:
            read = {name: value for name, value in (kwargs or {}).items() if name != "out"}
            tensors = [x for x in tree_leaves((args, read, result)) if isinstance(x, torch.Tensor)]
            self.bytes.append(sum(x.numel() * x.element_size() for x in tensors))
        return result


@pytest.mark.parametrize(("vocab", "most"), [(32768, 20), (10152, 24)])
def test_what_the_loss_moves_on_a_gpu(monkeypatch, vocab, most):
    """Counted on meta: 20 bytes a logit at most, 24 with few classes, by 60 operators for four chunks.

    The kernel, no operator of torch's, reads the logits twice and writes them once. Regression: it was 159
    and 161 bytes, by 157 operators.
    """
    pytest.importorskip("triton")
    from rdrop_fairseq.losses import kernel

    tokens, traffic, original = 4096, Traffic(), kernel.losses_and_grad_

    def record(logits, *rest):
        traffic.bytes.append(3 * logits.numel() * logits.element_size())
        return original(logits, *rest)

    monkeypatch.setattr(kernel, "losses_and_grad_", record)
    kind = {"dtype": torch.bfloat16, "device": "meta", "requires_grad": True}
    inputs = torch.empty(2 * tokens, 512, **kind), torch.empty(vocab, 512, **kind)
    target = torch.empty(tokens, dtype=torch.long, device="meta")
    options = Options(5.0, 2, 0.1, -100, 1.0, max_positions=tokens)
    with traffic:
        linear_rdrop_sums(*inputs, None, target, options)[0].backward()
    assert 15 < sum(traffic.bytes) / (2 * tokens * vocab) <= most
    assert len(traffic.bytes) <= 60


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
    sizes = "--tokens 20 --vocab 50 80 --dim 8 --passes 1 --chunk-size 7".split()
    rows = table_of(tmp_path, "benchmark_loss", *sizes)
    ours = ["rdrop_loss", "linear_rdrop_loss", "linear_rdrop_loss, chunk 7"]
    assert [row["contestant"] for row in rows] == ["matrix products", "fairseq plain, one pass", *ours] * 2
    assert all(float(row["median_ms"]) > 0 and row["commit"] and row["torch"] for row in rows)


@pytest.mark.parametrize("passes", [1, 2])
def test_contestants_have_the_same_loss(passes):
    """Without label smoothing, of which the authors have another kind. Torch 2.13 has a rival."""
    contestants = benchmark_loss.make_contestants(20, 50, Namespace(dim=8, passes=passes, **ARGUMENTS))
    del contestants["matrix products"]
    if passes == 2:
        del contestants["fairseq plain, one pass"]
    losses = {name: float(loss()) for name, loss in contestants.items()}
    assert losses == pytest.approx(dict.fromkeys(losses, losses["linear_rdrop_loss"]), rel=1e-5)


def test_benchmark_step(tmp_path):
    """K passes cost K times the operations of plain training, and nothing for pads; one round is enough."""
    rows = table_of(tmp_path, "benchmark_step", *"--settings tiny --dtype bf16 --all --passes 3".split())
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


def test_the_multi30k_setting_is_that_of_the_recipe():
    """The setting from which an update's undisturbed time is read has the sizes of the recipe."""
    recipe = OmegaConf.load(ROOT / "examples" / "translation" / "config" / "multi30k.yaml")
    setting = benchmark_step.SETTINGS["multi30k"]
    flags, dictionary = benchmark_step.CRITERIONS["plain"], benchmark_step.make_dictionary(60)
    config = benchmark_step.make_trainer(flags, setting, dictionary, "cpu", "fp32").cfg
    for name in recipe.model.keys() - {"_name"}:
        assert getattr(config.model, name) == recipe.model[name], name
    assert config.dataset.max_tokens == recipe.dataset.max_tokens
    assert config.criterion.label_smoothing == recipe.criterion.label_smoothing


def test_the_settings_of_a_gpu_are_those_of_fairseqs_architectures():
    """Layers, widths and heads."""
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


def test_a_rival_that_is_not_there_or_refuses_is_left_out(monkeypatch, capsys):
    def refuses():
        raise RuntimeError("no such\nkernel")

    monkeypatch.setattr(rivals, "_apple", refuses)
    tensors = [torch.randn(shape, requires_grad=True) for shape in ((20, 8), (50, 8))]
    target = torch.randint(50, (20,))
    found = rivals.rivals(*tensors, target, label_smoothing=0.0)
    assert ("torch linear_cross_entropy" in found) == hasattr(F, "linear_cross_entropy")
    assert "left out: apple cut_cross_entropy: no such kernel\n" in capsys.readouterr().err
    assert "torch linear_cross_entropy" not in rivals.rivals(*tensors, target, label_smoothing=0.1)


def test_the_batch_of_a_setting_is_one_of_fairseqs():
    """A batch is as Multi30k's mean of 537 an epoch: 54 sentences and 882 target tokens."""
    setting = benchmark_step.SETTINGS["multi30k"]
    dictionary = benchmark_step.make_dictionary(setting.vocab)
    batch = benchmark_step.make_batch(setting, dictionary)
    assert batch["nsentences"] == pytest.approx(54, abs=4)
    assert batch["ntokens"] == pytest.approx(882, abs=40)
    assert 0 < batch["target"].eq(dictionary.pad()).sum() == batch["target"].numel() - batch["ntokens"]


def test_benchmark_huggingface():
    pytest.importorskip("transformers")
    sizes = {"vocab": 2000, "dim": 16, "layers": 1, "heads": 2, "sentences": 4, "length": 8}
    rows = {row["contestant"]: row for row in benchmark_huggingface.measure(sizes, "cpu", 1)}
    assert rows["plain"]["tokens"] == 4 * 8 - 4
    assert (
        rows["plain, fused"]["peak_mib"]
        < rows["R-Drop, logits"]["peak_mib"]
        > rows["R-Drop, fused"]["peak_mib"]
    )


def test_a_machine_without_git(monkeypatch):
    """Regression: the rows were lost at the end, in a traceback."""
    monkeypatch.setenv("PATH", "")
    assert bench.provenance("cpu")["commit"] == "unknown"


def test_fp16_needs_a_gpu(tmp_path):
    arguments = "--dtype fp16 --device cpu".split()
    assert_refused("benchmark_step", arguments, "--dtype fp16 needs a GPU", tmp_path)


def test_sizes_that_no_memory_holds():
    arguments = "--device cpu --repeats 1 --tokens 4 --vocab 900000000000000 --dim 4".split()
    assert_one_line(call_here("benchmark_loss", *arguments), "not enough memory")
