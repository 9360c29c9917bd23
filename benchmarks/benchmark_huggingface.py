"""Time and peak memory of a training step (forward and backward) in the Trainer of Hugging Face transformers.

Contestants, on one model and one batch of random sentences: the Trainer's own loss ("plain"); the fused loss
with one pass, which is plain training at another price; R-Drop by the logits; R-Drop by the fused loss, both
of rdrop_fairseq.huggingface. The model is NLLB's, random, and small but for its vocabulary. The update of the
weights, which is the same for all, is not measured.
"""

import argparse
import tempfile
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch

from benchmarks import bench
from rdrop_tools import cli

SPECIAL = 4  # <s>, <pad>, </s> and <unk>
PAD, END = 1, 2
SIZES = ("vocab", "dim", "layers", "heads", "sentences", "length")


def make_model(args: argparse.Namespace) -> Any:
    import transformers

    config = transformers.M2M100Config(
        vocab_size=args.vocab, d_model=args.dim, encoder_layerdrop=0.0, decoder_layerdrop=0.0
    )
    for side in ("encoder", "decoder"):
        setattr(config, f"{side}_layers", args.layers)
        setattr(config, f"{side}_ffn_dim", 4 * args.dim)
        setattr(config, f"{side}_attention_heads", args.heads)
    torch.manual_seed(1)
    return transformers.M2M100ForConditionalGeneration(config)


def make_batch(args: argparse.Namespace) -> dict[str, torch.Tensor]:
    """Sentences of ``--length`` on both sides, the last of them half as long: a batch with padding."""
    generator = torch.Generator().manual_seed(0)
    source, target = torch.randint(SPECIAL, args.vocab, (2, args.sentences, args.length), generator=generator)
    source[:, -1] = target[:, -1] = END
    half = args.length // 2
    source[-1, half:], target[-1, half:] = PAD, -100
    batch = {"input_ids": source, "attention_mask": source.ne(PAD).long(), "labels": target}
    return {name: value.to(args.device) for name, value in batch.items()}


def measure(args: argparse.Namespace, folder: str) -> Iterator[dict[str, Any]]:
    """A row for each contestant."""
    import transformers

    from rdrop_fairseq.huggingface import RDropTrainer

    settings = transformers.TrainingArguments(
        output_dir=folder, use_cpu=args.device == "cpu", report_to="none"
    )
    model, batch = make_model(args), make_batch(args)
    tokens = int(batch["labels"].ne(-100).sum())
    rdrop = partial(RDropTrainer, model, settings, rdrop_alpha=2.5)
    trainers = {
        "plain": transformers.Trainer(model, settings),
        "plain, fused": rdrop(rdrop_passes=1),
        "R-Drop, logits": rdrop(rdrop_fused=False),
        "R-Drop, fused": rdrop(),
    }

    def step(trainer: Any) -> None:
        trainer.training_step(model, batch, torch.tensor(tokens, device=args.device))
        model.zero_grad()

    contestants: bench.Contestants = {name: partial(step, trainer) for name, trainer in trainers.items()}
    timings = bench.times(contestants, args.repeats, args.device)
    for name, function in contestants.items():
        sizes = {size: getattr(args, size) for size in SIZES}
        peak = round(bench.peak_mib(function, args.device), 1)
        row = {"contestant": name, **sizes, "tokens": tokens}
        yield row | bench.summary(timings[name]) | {"peak_mib": peak}


def main() -> None:
    parser = cli.Parser(__doc__)
    bench.add_arguments(parser)
    size = cli.integer(1)
    parser.add_argument("--vocab", type=cli.integer(SPECIAL + 1), default=256206, help="that of NLLB")
    parser.add_argument("--dim", type=size, default=256)
    parser.add_argument("--layers", type=size, default=3, help="of the encoder, and of the decoder")
    parser.add_argument("--heads", type=size, default=4)
    parser.add_argument("--sentences", type=size, default=16)
    parser.add_argument("--length", type=cli.integer(2), default=32, help="tokens of a sentence")
    args = parser.parse_args()
    if args.dim % args.heads:
        parser.error(f"--dim {args.dim} is no multiple of --heads {args.heads}")
    with tempfile.TemporaryDirectory() as folder:
        bench.report(measure(args, folder), args.device, args.out)


if __name__ == "__main__":
    cli.run(main)
