"""Time and peak memory of the loss with its output projection, forward and backward.

Contestants: the three matrix products that no loss can avoid, in the dtype of the others; fairseq's
label-smoothed cross entropy on one pass; the R-Drop authors' formula (reference.py) and fairseq's
label_smoothed_cross_entropy_with_rdrop, both for two passes only; rdrop_loss; linear_rdrop_loss, also with
other chunks (--chunk-size), and on a GPU without its kernel; with one pass also other projects' fused cross
entropies (rivals.py). What would hold more than --max-gib is left out.
"""

import argparse
import functools
import logging
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from fairseq.criterions import label_smoothed_cross_entropy as fairseq_plain
from fairseq.criterions import label_smoothed_cross_entropy_with_rdrop as fairseq_rdrop
from torch import Tensor

from benchmarks import bench, reference
from benchmarks.rivals import rivals
from rdrop_fairseq import linear_rdrop_loss, rdrop_loss
from rdrop_fairseq.losses.device import DEVICES
from rdrop_tools import cli

ALPHA, PAD = 5.0, 1


def fairseq_rdrop_loss(logits: Tensor, target: Tensor, epsilon: float) -> Tensor:
    """The loss of fairseq's in-tree criterion, called as its compute_loss does."""
    probs = SimpleNamespace(
        get_normalized_probs=lambda x, log_probs: (F.log_softmax if log_probs else F.softmax)(
            x, dim=-1, dtype=torch.float32
        )
    )
    lprobs = F.log_softmax(logits, dim=-1, dtype=torch.float32)
    target = torch.cat([target, target])
    ce, _ = fairseq_rdrop.label_smoothed_nll_loss(lprobs, target, epsilon, ignore_index=PAD)
    pad_mask = target[: target.size(0) // 2].unsqueeze(-1).eq(PAD)
    loss: Tensor = ce + ALPHA * fairseq_rdrop.compute_kl_loss(probs, logits, pad_mask)
    return loss


def without_kernel(function: Callable[[], Tensor]) -> Tensor:
    with mock.patch.dict(DEVICES, cuda=DEVICES["cuda"]._replace(kernel=False)):
        return function()


def make_contestants(tokens: int, vocab: int, args: argparse.Namespace) -> bench.Contestants:
    """Each but the matrix products returns its loss."""
    epsilon = args.label_smoothing
    dtype, device, dim, passes = getattr(torch, args.dtype), args.device, args.dim, args.passes
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(passes * tokens, dim, generator=generator).to(device, dtype).requires_grad_()
    weight = torch.randn(vocab, dim, generator=generator).mul_(dim**-0.5).to(device, dtype).requires_grad_()
    target = torch.randint(2, vocab, (tokens,), generator=generator).to(device)
    options: dict[str, Any] = {"alpha": ALPHA, "label_smoothing": epsilon, "ignore_index": PAD}
    ours = {**options, "passes": passes}

    def backward(loss: Tensor) -> Tensor:
        torch.autograd.grad(loss, (hidden, weight))
        return loss.detach()

    def products(logits: Tensor) -> None:
        with torch.no_grad():
            torch.mm(hidden, weight.t(), out=logits)
            _ = logits @ weight, logits.t() @ hidden

    def one_pass() -> Tensor:
        lprobs = F.log_softmax(F.linear(hidden[:tokens], weight), dim=-1, dtype=torch.float32)
        return backward(fairseq_plain.label_smoothed_nll_loss(lprobs, target, epsilon, ignore_index=PAD)[0])

    def of_logits(loss: Callable[[Tensor], Tensor]) -> Callable[[], Tensor]:
        return lambda: backward(loss(F.linear(hidden, weight)))

    def linear(**more: Any) -> Tensor:
        return backward(linear_rdrop_loss(hidden, weight, target, **ours, **more).loss)

    logits_gib = passes * tokens * vocab * 4 / 2**30
    contestants: bench.Contestants = {}
    if 2 * logits_gib <= args.max_gib:
        buffer = torch.empty(passes * tokens, vocab, device=device, dtype=dtype)
        contestants["matrix products"] = functools.partial(products, buffer)
    if 5 / passes * logits_gib <= args.max_gib:
        contestants["fairseq plain, one pass"] = one_pass
    if 8 * logits_gib <= args.max_gib:
        if passes == 2:
            authors = functools.partial(reference.authors_rdrop, target=target, **options)
            in_tree = functools.partial(fairseq_rdrop_loss, target=target, epsilon=epsilon)
            contestants["authors' formula"] = of_logits(authors)
            contestants["fairseq in-tree"] = of_logits(in_tree)
        contestants["rdrop_loss"] = of_logits(lambda logits: rdrop_loss(logits, target, **ours).loss)
    contestants["linear_rdrop_loss"] = linear
    if device == "cuda":
        contestants["linear_rdrop_loss, no kernel"] = functools.partial(without_kernel, linear)
    for size in args.chunk_size:
        contestants[f"linear_rdrop_loss, chunk {size}"] = functools.partial(linear, chunk_size=size)
    if passes == 1:
        for name, loss in rivals(hidden, weight, target, epsilon).items():
            contestants[name] = lambda loss=loss: backward(loss(hidden, weight, target))  # type: ignore[misc]
    return contestants


def measure(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for each contestant at each size."""
    for vocab in args.vocab:
        for tokens in args.tokens:
            contestants = make_contestants(tokens, vocab, args)
            timings = bench.times(contestants, args.repeats, args.device)
            ours = bench.summary(timings["linear_rdrop_loss"])["median_ms"]
            for name, function in contestants.items():
                sizes = {"passes": args.passes, "tokens": tokens, "vocab": vocab, "dim": args.dim}
                row = {"contestant": name, **sizes, "label_smoothing": args.label_smoothing}
                row |= {"dtype": args.dtype, **bench.summary(timings[name])}
                row["peak_mib"] = round(bench.peak_mib(function, args.device), 1)
                yield row | {"time_over_ours": round(row["median_ms"] / ours, 2)}


def main() -> None:
    parser = cli.Parser(__doc__)
    bench.add_arguments(parser)
    size = cli.integer(1)
    parser.add_argument("--tokens", type=size, nargs="+", default=[1024], help="target tokens of one pass")
    parser.add_argument("--vocab", type=cli.integer(3), nargs="+", default=[10000])
    parser.add_argument("--dim", type=size, default=512)
    parser.add_argument("--passes", type=cli.integer(1), default=2)
    parser.add_argument("--chunk-size", type=size, nargs="+", default=[], help="further chunk sizes to time")
    parser.add_argument("--max-gib", type=cli.number(0), default=16, help="memory that a contestant may take")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32")
    parser.add_argument("--label-smoothing", type=cli.number(0, 0.99), default=0.1)
    args = parser.parse_args()
    logging.disable(logging.INFO)
    bench.report(measure(args), args.device, args.out)


if __name__ == "__main__":
    cli.run(main)
