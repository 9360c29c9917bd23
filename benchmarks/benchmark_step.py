"""Time, operations and peak memory of a whole fairseq training step (forward, backward, clipping, Adam).

Contestants, on the same batch of random sentences: label_smoothed_cross_entropy ("plain"); the fused loss
with one pass, which is plain training at another price; label_smoothed_cross_entropy_with_rdrop; and
label_smoothed_cross_entropy_rdrop with the fused loss, in every update and in every 2nd (--rdrop-interval 2:
two updates a round; the row has their mean time and operations, and the higher peak). --all adds the plain
loss, separate forwards and the phase before --rdrop-start-update; --passes more passes. Operations are those
of the matrix products: their ratio to plain training is what a criterion costs on any machine.

On a GPU "busy_ms" is the time that it works in a step, and "host_share" what is left of the step's time: in
that share it waits for the host, which starts operators, and a step of much of it is bound by the host.

A setting is a model and a batch: "multi30k" is that of examples/translation; "iwslt" is what people train on
a GPU; "wmt-base" and "wmt-big" have batches that keep one busy; "tiny" is for tests.

With --profile nothing is compared: a step with R-Drop of the first setting is told by operator, and leaves
a trace for ui.perfetto.dev.
"""

import argparse
import logging
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fairseq import options
from fairseq.data import Dictionary, LanguagePairDataset
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from fairseq.tasks.translation import TranslationTask
from fairseq.trainer import Trainer

import rdrop_fairseq  # noqa: F401  (registers the criterion)
from benchmarks import bench
from rdrop_tools import cli

PLAIN, OURS = "label_smoothed_cross_entropy", "label_smoothed_cross_entropy_rdrop"
CRITERIONS = {
    "plain": [PLAIN],
    "ours, fused loss, 1 pass": [OURS, "--rdrop-passes", "1"],
    "fairseq in-tree R-Drop": ["label_smoothed_cross_entropy_with_rdrop", "--rdrop-alpha", "5"],
    "ours, fused loss": [OURS],
    "ours, fused loss, every 2nd update": [OURS, "--rdrop-interval", "2"],
}
UPDATES_A_ROUND = {"ours, fused loss, every 2nd update": 2}  # one of each kind; else 1
MORE_CRITERIONS = {
    "ours, plain loss": [OURS, "--rdrop-loss", "plain"],
    "ours, fused loss, separate forwards": [OURS, "--rdrop-forward", "separate"],
    "ours, before --rdrop-start-update": [OURS, "--rdrop-start-update", "1000000"],
}


@dataclass(frozen=True)
class Setting:
    layers: int  # of the encoder, and of the decoder
    dim: int
    ffn: int
    vocab: int  # with fairseq's four symbols
    heads: int = 4
    pre_norm: int = 0
    dropout: float = 0.1
    max_tokens: int = 2048  # of a batch, pads included, as fairseq counts
    length: int = 25  # median length of a sentence


SETTINGS = {
    "tiny": Setting(layers=1, dim=16, ffn=32, vocab=60, max_tokens=100, length=9),
    "small": Setting(layers=4, dim=128, ffn=256, vocab=6000),
    "medium": Setting(layers=3, dim=256, ffn=1024, vocab=10000),
    "multi30k": Setting(
        layers=3, dim=256, ffn=1024, vocab=6048, pre_norm=1, dropout=0.3, max_tokens=1024, length=15
    ),
    "iwslt": Setting(layers=6, dim=512, ffn=1024, vocab=10152, dropout=0.3, max_tokens=4096),
    "wmt-base": Setting(layers=6, dim=512, ffn=2048, vocab=32768, heads=8, max_tokens=16384),
    "wmt-big": Setting(layers=6, dim=1024, ffn=4096, vocab=32768, heads=16, max_tokens=16384),
}


def make_dictionary(size: int) -> Dictionary:
    dictionary = Dictionary()
    for i in range(size - len(dictionary)):
        dictionary.add_symbol(f"w{i}")
    return dictionary


def make_trainer(
    criterion: list[str], setting: Setting, dictionary: Dictionary, device: str, dtype: str
) -> Any:
    flags = ["data", "--task=translation", "--arch=transformer", "--share-all-embeddings"]
    for side in ("encoder", "decoder"):
        flags += [f"--{side}-layers={setting.layers}", f"--{side}-attention-heads={setting.heads}"]
        flags += [f"--{side}-embed-dim={setting.dim}", f"--{side}-ffn-embed-dim={setting.ffn}"]
        flags += [f"--{side}-normalize-before"] * setting.pre_norm
    flags += [f"--dropout={setting.dropout}", f"--max-tokens={setting.max_tokens}"]
    flags += ["--optimizer=adam", "--lr=1e-4", "--clip-norm=1.0", "--label-smoothing=0.1"]
    flags += ["--cpu"] * (device == "cpu")
    flags += ["--fp16", "--fp16-init-scale=4"] * (dtype == "fp16")  # no update is left out for an overflow
    parsed = options.parse_args_and_arch(options.get_training_parser(), [*flags, "--criterion", *criterion])
    cfg = convert_namespace_to_omegaconf(parsed)
    cfg.common.bf16 = dtype == "bf16"  # the flag asks for a TPU
    task = TranslationTask(cfg.task, dictionary, dictionary)
    torch.manual_seed(1)
    trainer = Trainer(cfg, task, task.build_model(cfg.model), task.build_criterion(cfg.criterion))
    trainer._build_optimizer()
    return trainer


def make_batch(setting: Setting, dictionary: Dictionary) -> dict[str, Any]:
    """The most typical of the batches, in sentences and tokens, that fairseq makes of a corpus like Multi30k.

    Lengths are log-normal with the spread of Multi30k's, and a translation's goes with its source's.
    """
    generator = torch.Generator().manual_seed(0)
    source = 0.3 * torch.randn(29000, generator=generator)
    target = source + 0.17 * torch.randn(29000, generator=generator)
    longest = min(setting.max_tokens, 1000)  # fairseq's positions are 1,024
    sizes = [(setting.length * side.exp()).round().long().clamp(2, longest) for side in (source, target)]

    def texts(lengths: torch.Tensor) -> tuple[torch.Tensor, ...]:
        shape = (int(lengths.sum()),)
        words = torch.randint(dictionary.nspecial, len(dictionary), shape, generator=generator)
        words[lengths.cumsum(0) - 1] = dictionary.eos()
        result: tuple[torch.Tensor, ...] = words.split(lengths.tolist())
        return result

    sides = [part for side in sizes for part in (texts(side), side.numpy(), dictionary)]
    data = LanguagePairDataset(*sides, shuffle=False)
    batches = data.batch_by_size(
        data.ordered_indices(), max_tokens=setting.max_tokens, required_batch_size_multiple=8
    )
    counts = np.array([(len(batch), data.tgt_sizes[batch].sum()) for batch in batches])
    typical = batches[np.abs(counts / counts.mean(0) - 1).sum(1).argmin()]
    batch: dict[str, Any] = data.collater([data[i] for i in typical])
    return batch


def measure(name: str, dtype: str, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for each contestant in this setting."""
    setting = SETTINGS[name]
    dictionary = make_dictionary(setting.vocab)
    batch = make_batch(setting, dictionary)

    def step(trainer: Any, updates: int) -> None:
        for _ in range(updates):
            sample = {**batch, "net_input": dict(batch["net_input"])}  # the in-tree criterion changes it
            trainer.train_step([sample])

    criterions = CRITERIONS | (MORE_CRITERIONS if args.all else {})
    criterions |= {f"ours, fused loss, {k} passes": [OURS, "--rdrop-passes", str(k)] for k in args.passes}
    contestants: bench.Contestants = {}
    for criterion, flags in criterions.items():
        trainer = make_trainer(flags, setting, dictionary, args.device, dtype)
        contestants[criterion] = partial(step, trainer, UPDATES_A_ROUND.get(criterion, 1))
    timings = bench.times(contestants, args.repeats, args.device)
    plain: dict[str, float] = {}
    for criterion, function in contestants.items():
        updates = UPDATES_A_ROUND.get(criterion, 1)
        times = bench.summary([time / updates for time in timings[criterion]])
        peak, gflop = bench.peak_mib(function, args.device), bench.gflop(function) / updates
        costs = {"time": times["median_ms"], "peak": peak, "gflop": gflop}
        plain = plain or costs
        row: dict[str, Any] = {"criterion": criterion, "setting": name, **asdict(setting)}
        row |= {"sentences": batch["nsentences"], "tokens": batch["ntokens"], "dtype": dtype, **times}
        busy = bench.busy_ms(function, args.device)
        row["busy_ms"] = busy and round(busy / updates, 2)
        row["host_share"] = busy and round(max(0.0, 1 - row["busy_ms"] / row["median_ms"]), 2)
        row |= {"peak_mib": round(peak, 1), "gflop": round(gflop, 2)}
        yield row | {f"{cost}_over_plain": round(costs[cost] / plain[cost], 3) for cost in costs}


def profile(name: str, dtype: str, device: str, trace: Path) -> None:
    """Prints what each operator takes, by the time of the device, and writes the trace."""
    setting = SETTINGS[name]
    dictionary = make_dictionary(setting.vocab)
    trainer = make_trainer([OURS], setting, dictionary, device, dtype)
    batch = make_batch(setting, dictionary)
    for _ in range(bench.WARM_UPS[device]):
        trainer.train_step([batch])
    with torch.profiler.profile() as profiler:
        trainer.train_step([batch])
    profiler.export_chrome_trace(str(trace))
    print(profiler.key_averages().table(sort_by=f"self_{device}_time_total", row_limit=60))


def main() -> None:
    parser = cli.Parser(__doc__)
    bench.add_arguments(parser)
    parser.add_argument("--settings", choices=list(SETTINGS), nargs="+", default=["small", "medium"])
    parser.add_argument("--all", action="store_true", help="all contestants")
    parser.add_argument(
        "--passes", type=cli.integer(2), nargs="+", default=[], help="further numbers of passes"
    )
    parser.add_argument(
        "--dtype", choices=["fp32", "fp16", "bf16"], nargs="+", default=["fp32"], help="of fairseq's trainer"
    )
    parser.add_argument("--profile", type=cli.output_file, metavar="TRACE", help=".json or .json.gz")
    args = parser.parse_args()
    if "fp16" in args.dtype and args.device == "cpu":
        parser.error("--dtype fp16 needs a GPU")
    logging.disable(logging.INFO)
    warnings.simplefilter("ignore")  # hydra's, for each trainer
    if args.profile:
        profile(args.settings[0], args.dtype[0], args.device, args.profile)
        return
    rows = (row for name in args.settings for dtype in args.dtype for row in measure(name, dtype, args))
    bench.report(rows, args.device, args.out)


if __name__ == "__main__":
    cli.run(main)
