"""Time of linear_rdrop_loss beside what was tried for it and lost; docs/fused-loss.md has the results.

Contestants: linear_rdrop_loss as it is; its elementwise part on the whole chunk instead of blocks of it; with
the log-probabilities held beside the probabilities; under torch.compile; with smaller and larger chunks.
"""

import argparse
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from rdrop_fairseq import fused, linear_rdrop_loss
from rdrop_fairseq.device import DEVICES
from rdrop_tools import cli
from rdrop_tools.benchmarks import bench

MIB = 2**20


def losses_and_grad_by_log_softmax_(
    logits: Tensor, probs: Tensor | None, target: Tensor, options: fused.Options
) -> Tensor:
    """fused.losses_and_grad_ as the formulas of its module are read: a third tensor of the logits' size."""
    passes, num_classes = logits.shape[1:]
    s, a = options.ce_scale, options.alpha / (passes - 1)
    eps_i = options.label_smoothing / max(num_classes - 1, 1)
    on_target = 1.0 - options.label_smoothing - eps_i
    target = target.view(-1, 1, 1).expand(-1, passes, 1)

    lprobs = torch.log_softmax(logits, -1)
    probs = torch.exp(lprobs, out=probs)
    target_lprobs = lprobs.gather(-1, target).squeeze(-1)
    correct = target_lprobs.eq(lprobs.amax(-1)).sum(1)
    ce = -s * (on_target * target_lprobs + eps_i * lprobs.sum(-1)).sum(1)
    centred = torch.sub(lprobs, lprobs.mean(1, keepdim=True), out=logits)
    divergence = torch.linalg.vecdot(probs, centred)  # D_k
    kl = divergence.sum(1) / (passes - 1)
    mean = probs.mean(1, keepdim=True)
    logits.mul_(a).add_((s + a * (1 - divergence)).unsqueeze(-1)).mul_(probs)
    logits.sub_(mean.mul_(a).add_(s * eps_i))
    logits.scatter_add_(-1, target, torch.full_like(target_lprobs, -s * on_target).unsqueeze(-1))
    return torch.stack([ce + options.alpha * kl, -target_lprobs.mean(1), kl, correct.to(kl.dtype)], dim=1)


def measure(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for each variant."""
    device = args.device
    torch.manual_seed(0)
    hidden = torch.randn(2 * args.tokens, args.dim, device=device, requires_grad=True)
    weight = (torch.randn(args.vocab, args.dim, device=device) * args.dim**-0.5).requires_grad_()
    target = torch.randint(args.vocab, (args.tokens,), device=device)

    def loss(compiled: bool = False) -> Tensor:
        options: dict[str, Any] = {"alpha": 5.0, "label_smoothing": 0.1, "compiled": compiled}
        return linear_rdrop_loss(hidden, weight, target, **options).loss

    def contestant(change: AbstractContextManager[Any], compiled: bool = False) -> Callable[[], None]:
        def run() -> None:
            with change:
                torch.autograd.grad(loss(compiled), (hidden, weight))

        return run

    here = DEVICES[device]

    def with_device(**changes: Any) -> Any:
        return mock.patch.dict(DEVICES, {device: here._replace(**changes)})

    log_softmax_held = mock.patch.object(fused, "losses_and_grad_", losses_and_grad_by_log_softmax_)
    contestants: bench.Contestants = {
        "as it is": contestant(nullcontext()),
        "no blocks": contestant(with_device(block_bytes=here.chunk_bytes)),
        "log-softmax held": contestant(log_softmax_held),
        "torch.compile": contestant(nullcontext(), compiled=True),
    }
    for mib in args.chunk_mib:
        contestants[f"chunks of {mib} MiB ({here.chunk_bytes // MIB})"] = contestant(
            with_device(chunk_bytes=mib * MIB)
        )

    expected = loss().detach()
    with log_softmax_held:
        torch.testing.assert_close(loss().detach(), expected)
    timings = bench.times(contestants, args.repeats, device)
    first = bench.summary(timings["as it is"])["median_ms"]
    for name in contestants:
        row = {"variant": name, "tokens": args.tokens, "vocab": args.vocab, "dim": args.dim}
        row |= bench.summary(timings[name])
        row["time_over_first"] = round(row["median_ms"] / first, 3)
        yield row


def main() -> None:
    parser = cli.Parser(__doc__)
    bench.add_arguments(parser)
    size = cli.integer(1)
    parser.add_argument("--tokens", type=size, default=1024, help="target tokens of one pass")
    parser.add_argument("--vocab", type=size, default=10000)
    parser.add_argument("--dim", type=size, default=512)
    parser.add_argument("--chunk-mib", type=size, nargs="+", default=[2, 4, 8, 32, 64])
    args = parser.parse_args()
    bench.check_compiler()
    bench.report(measure(args), args.device, args.out)


if __name__ == "__main__":
    cli.run(main)
