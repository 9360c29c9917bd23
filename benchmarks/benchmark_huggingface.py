"""Time and peak memory of a training step (forward and backward) in the Trainer of Hugging Face transformers.

Contestants, on one model and one batch of random sentences: the Trainer's own loss ("plain"); the fused loss
with one pass, which is plain training at another price; R-Drop by the logits; R-Drop by the fused loss, both
of rdrop_fairseq.huggingface. The model is NLLB's, random, and small but for its vocabulary. The update of the
weights, which is the same for all, is not measured.
"""

import tempfile
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch

from benchmarks import bench
from rdrop_tools import cli

SPECIAL = 4  # <s>, <pad>, </s> and <unk>
PAD, END = 1, 2
# Layers of the encoder, and of the decoder; tokens of a sentence.
SIZES = {"vocab": 256206, "dim": 256, "layers": 3, "heads": 4, "sentences": 16, "length": 32}


def make_model(sizes: dict[str, int]) -> Any:
    import transformers

    dim = sizes["dim"]
    config = transformers.M2M100Config(
        vocab_size=sizes["vocab"], d_model=dim, encoder_layerdrop=0.0, decoder_layerdrop=0.0
    )
    for side in ("encoder", "decoder"):
        setattr(config, f"{side}_layers", sizes["layers"])
        setattr(config, f"{side}_ffn_dim", 4 * dim)
        setattr(config, f"{side}_attention_heads", sizes["heads"])
    torch.manual_seed(1)
    return transformers.M2M100ForConditionalGeneration(config)


def make_batch(sizes: dict[str, int], device: str) -> dict[str, torch.Tensor]:
    """Sentences of one length on both sides, the last of them half as long: a batch with padding."""
    generator = torch.Generator().manual_seed(0)
    shape = (2, sizes["sentences"], sizes["length"])
    source, target = torch.randint(SPECIAL, sizes["vocab"], shape, generator=generator)
    source[:, -1] = target[:, -1] = END
    half = sizes["length"] // 2
    source[-1, half:], target[-1, half:] = PAD, -100
    batch = {"input_ids": source, "attention_mask": source.ne(PAD).long(), "labels": target}
    return {name: value.to(device) for name, value in batch.items()}


def measure(sizes: dict[str, int], device: str, repeats: int) -> Iterator[dict[str, Any]]:
    """A row for each contestant."""
    import transformers

    from rdrop_fairseq.huggingface import RDropTrainer

    model, batch = make_model(sizes), make_batch(sizes, device)
    tokens = int(batch["labels"].ne(-100).sum())
    with tempfile.TemporaryDirectory() as folder:
        settings = transformers.TrainingArguments(folder, use_cpu=device == "cpu", report_to="none")
        rdrop = partial(RDropTrainer, model, settings, rdrop_alpha=2.5)
        trainers = {
            "plain": transformers.Trainer(model, settings),
            "plain, fused": rdrop(rdrop_passes=1),
            "R-Drop, logits": rdrop(rdrop_fused=False),
            "R-Drop, fused": rdrop(),
        }

    def step(trainer: Any) -> None:
        trainer.training_step(model, batch, torch.tensor(tokens, device=device))
        model.zero_grad()

    contestants: bench.Contestants = {name: partial(step, trainer) for name, trainer in trainers.items()}
    timings = bench.times(contestants, repeats, device)
    for name, function in contestants.items():
        peak = round(bench.peak_mib(function, device), 1)
        yield {
            "contestant": name,
            **sizes,
            "tokens": tokens,
            **bench.summary(timings[name]),
            "peak_mib": peak,
        }


def main() -> None:
    parser = cli.Parser(__doc__)
    bench.add_arguments(parser)
    args = parser.parse_args()
    bench.report(measure(SIZES, args.device, args.repeats), args.device, args.out)


if __name__ == "__main__":
    cli.run(main)
