#!/usr/bin/env python3
"""Time of a whole fairseq training step (forward, backward, clipping, Adam) under each criterion.

A transformer on random sentences. Contestants: label_smoothed_cross_entropy;
label_smoothed_cross_entropy_with_rdrop; label_smoothed_cross_entropy_rdrop with the plain and the fused
loss, with separate forwards, and with more passes. Beside the time: the operations of the matrix products,
whose ratio to plain training is what R-Drop costs on any machine.
"""

import argparse
import logging
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from fairseq import options
from fairseq.data import Dictionary
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.tasks.translation import TranslationTask
from fairseq.trainer import Trainer

import rdrop_fairseq  # noqa: F401  (registers the criterion)

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from scripts.benchmarks import bench

OURS = "label_smoothed_cross_entropy_rdrop"
CRITERIONS = {
    "plain": ["label_smoothed_cross_entropy"],
    "fairseq in-tree R-Drop": ["label_smoothed_cross_entropy_with_rdrop", "--rdrop-alpha", "5"],
    "ours, plain loss": [OURS, "--rdrop-loss", "plain"],
    "ours, fused loss": [OURS],
    "ours, before --rdrop-start-update": [OURS, "--rdrop-start-update", "1000000"],
    "ours, fused loss, separate forwards": [OURS, "--rdrop-forward", "separate"],
}


def make_dictionary(size: int) -> Dictionary:
    dictionary = Dictionary()
    for i in range(size - len(dictionary)):
        dictionary.add_symbol(f"w{i}")
    return dictionary


def make_trainer(criterion: list[str], args: argparse.Namespace) -> Any:
    sides = ("encoder", "decoder")
    sizes = {
        "layers": args.layers,
        "embed-dim": args.dim,
        "ffn-embed-dim": 4 * args.dim,
        "attention-heads": 4,
    }
    model = [f"--{side}-{key}={value}" for side in sides for key, value in sizes.items()]
    flags = ["data", "--task=translation", "--arch=transformer", "--share-all-embeddings", *model]
    flags += ["--dropout=0.1", "--optimizer=adam", "--lr=1e-4", "--clip-norm=1.0", "--max-tokens=4096"]
    flags += ["--label-smoothing=0.1", "--criterion", *criterion]
    flags += [f"--{name}" for name, on in (("fp16", args.fp16), ("cpu", args.device == "cpu")) if on]
    parsed = options.parse_args_and_arch(options.get_training_parser(), flags)
    cfg = convert_namespace_to_omegaconf(parsed)
    dictionary = make_dictionary(args.vocab)
    task = TranslationTask(cfg.task, dictionary, dictionary)
    torch.manual_seed(1)
    trainer = Trainer(cfg, task, task.build_model(cfg.model), task.build_criterion(cfg.criterion))
    trainer._build_optimizer()
    return trainer


def make_batch(args: argparse.Namespace) -> dict[str, Any]:
    """Sentences of 15 to 35 tokens, padded, about args.tokens target tokens in all."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(15, 36, (args.tokens // 25,), generator=generator).sort(descending=True)[0]
    mask = torch.arange(int(lengths[0])) < lengths.unsqueeze(1)
    text = torch.randint(4, args.vocab, mask.shape, generator=generator)
    target = text.masked_fill(~mask, 1)
    start = torch.full_like(target[:, :1], 2)
    source = target.flip(1)  # padded on the left, as fairseq does
    net_input = {"src_tokens": source, "src_lengths": lengths}
    net_input["prev_output_tokens"] = torch.cat([start, target[:, :-1]], dim=1)
    return {"net_input": net_input, "target": target, "ntokens": int(lengths.sum()), "id": lengths}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    bench.add_arguments(parser)
    parser.add_argument("--tokens", type=int, default=1600, help="target tokens of a batch")
    parser.add_argument("--vocab", type=int, default=4000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--layers", type=int, default=3)
    parser.add_argument("--passes", type=int, nargs="+", default=[], help="further numbers of passes")
    parser.add_argument("--fp16", action="store_true", help="as fairseq-train --fp16; needs a GPU")
    args = parser.parse_args()
    logging.disable(logging.INFO)
    warnings.simplefilter("ignore")  # hydra's, for each trainer

    batch = make_batch(args)

    def step(trainer: Any) -> None:
        sample = {**batch, "net_input": dict(batch["net_input"])}  # the in-tree criterion changes it
        trainer.train_step([sample])

    more = {f"ours, fused loss, {k} passes": [OURS, "--rdrop-passes", str(k)] for k in args.passes}
    trainers = {name: make_trainer(flags, args) for name, flags in (CRITERIONS | more).items()}
    contestants: bench.Contestants = {
        name: (lambda trainer=trainer: step(trainer))  # type: ignore[misc]
        for name, trainer in trainers.items()
    }
    timings = bench.times(contestants, args.repeats, args.device)
    where = bench.provenance(args.device)
    print(where)
    plain = bench.summary(timings["plain"])["median_ms"]
    plain_gflop = bench.gflop(contestants["plain"])
    rows = []
    for name, function in contestants.items():
        row: dict[str, Any] = {"criterion": name, "layers": args.layers, "dim": args.dim}
        row |= {"vocab": args.vocab, "tokens": batch["ntokens"], "dtype": "fp16" if args.fp16 else "fp32"}
        row |= bench.summary(timings[name])
        row["peak_mib"] = round(bench.peak_mib(function, args.device), 1)
        row["time_over_plain"] = round(row["median_ms"] / plain, 2)
        gflop = bench.gflop(function)
        row |= {"gflop": round(gflop, 1), "gflop_over_plain": round(gflop / plain_gflop, 2)}
        print("  ".join(f"{key}={value}" for key, value in row.items()))
        rows.append(row | where)
    bench.report(rows, args.out)


if __name__ == "__main__":
    main()
