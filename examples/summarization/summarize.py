#!/usr/bin/env python3
"""Summarise a text with a trained fairseq model: a document per line in, a summary per line out.

Restartable: what --out already holds is kept, and the work goes on after its last whole line. A document
longer than the model takes is cut; how many were is said at the end. Runs on a GPU, in fp16, if there is one.
The defaults are BART's for CNN/DailyMail.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # this clone's packages, whatever other copy is installed

import torch
from fairseq.hub_utils import GeneratorHubInterface, from_pretrained
from fairseq.models.bart import BARTHubInterface, BARTModel

import rdrop_fairseq
from rdrop_tools import cli
from rdrop_tools.checkpoints import load_checkpoint
from rdrop_tools.cli import InputError
from rdrop_tools.lines import check_outputs, iter_raw, read_lines

BPE_FILES = {
    "gpt2": {"gpt2_encoder_json": "encoder.json", "gpt2_vocab_bpe": "vocab.bpe"},
    "sentencepiece": {"sentencepiece_model": "sentencepiece.model"},
}


def load(args: argparse.Namespace) -> GeneratorHubInterface:
    """fairseq's hub interface, with the dictionary and the BPE that the model was trained with.

    Raises:
        InputError: a file is missing or damaged, or they do not belong together.
    """
    bpe = {kind: str(cli.input_file(args.bpe_dir / name)) for kind, name in BPE_FILES[args.bpe].items()}
    for side in ("source", "target"):
        cli.input_file(args.data / f"dict.{side}.txt")
    for name in (str(args.data.resolve()), args.checkpoint.resolve().name):
        if ":" in name:
            raise InputError(f"{name}: fairseq takes a colon for the end of a name, rename it")
    load_checkpoint(args.checkpoint)  # what is wrong with it is told better than by fairseq
    try:
        loaded = from_pretrained(
            str(args.checkpoint.resolve().parent),
            args.checkpoint.resolve().name,
            str(args.data.resolve()),
            bpe=args.bpe,
            user_dir=str(Path(rdrop_fairseq.__file__).parent),  # makes torch load fairseq's checkpoints
            # Of the fine-tuning, or, for published weights, of another task
            task="translation",
            source_lang="source",
            target_lang="target",
            max_tokens=args.max_tokens,
            batch_size=None,
            load_checkpoint_heads=True,
            **bpe,
        )
    except (
        Exception
    ) as error:  # of fairseq, json or sentencepiece, for files that are damaged or of another model
        reason = f"{type(error).__name__}: {error}"
        raise InputError(
            f"cannot load {args.checkpoint} with {args.data} and {args.bpe_dir}: {reason}"
        ) from None
    if isinstance(loaded["models"][0], BARTModel):
        hub: GeneratorHubInterface = BARTHubInterface(loaded["args"], loaded["task"], loaded["models"][0])
    else:
        hub = GeneratorHubInterface(loaded["args"], loaded["task"], loaded["models"])
    hub.eval()
    if torch.cuda.is_available() and not args.cpu:
        hub.cuda()
        if not args.fp32:
            hub.half()
    return hub


class Encoder:
    """Cuts a document to the model's length, as training does with --truncate-source, and counts."""

    def __init__(self, hub: GeneratorHubInterface, max_tokens: int) -> None:
        self.hub = hub
        self.longest = min(hub.max_positions[0], max_tokens)
        self.cut = 0

    def __call__(self, text: str) -> torch.Tensor:
        tokens: torch.Tensor = self.hub.encode(text)
        if len(tokens) <= self.longest:
            return tokens
        self.cut += 1
        return torch.cat([tokens[: self.longest - 1], tokens[-1:]])


@torch.no_grad()
def summarize(hub: GeneratorHubInterface, sources: list[torch.Tensor], **decoding: Any) -> list[str]:
    hypotheses = hub.generate(sources, **decoding)
    # one line each, whatever the model has written
    return [" ".join(hub.decode(beams[0]["tokens"]).split()) for beams in hypotheses]


def keep_whole_lines(path: Path) -> int:
    """Cut what a kill has left of a line, and return how many lines are there; none in a device."""
    if not path.is_file():
        return 0
    lengths = [len(line) for line in iter_raw(path) if line.endswith(b"\n")]
    if sum(lengths) < path.stat().st_size:
        os.truncate(path, sum(lengths))
    return len(lengths)


def write_summaries(lines: list[str], done: int, args: argparse.Namespace) -> None:
    """Write the summaries of the lines that are not done yet; after each chunk, the file has whole lines."""
    hub = load(args)
    longest = min(model.max_decoder_positions() for model in hub.models) - 1  # as fairseq caps --max-len-b
    if args.min_len > longest:
        raise InputError(
            f"--min-len {args.min_len} is more than the {longest} tokens that this model can make"
        )
    encode = Encoder(hub, args.max_tokens)
    names = ("beam", "lenpen", "max_len_b", "min_len", "no_repeat_ngram_size")
    decoding = {name: getattr(args, name) for name in names}
    with args.out.open("a", encoding="utf-8", newline="\n") as out:
        for start in range(done, len(lines), args.chunk):
            sources = [encode(text) for text in lines[start : start + args.chunk]]
            out.writelines(f"{summary}\n" for summary in summarize(hub, sources, **decoding))
            out.flush()
            print(f"{start + len(sources)}/{len(lines)}", file=sys.stderr)
    if encode.cut:
        count = f"{encode.cut} of {len(lines) - done} documents"
        print(f"{count} were longer than {encode.longest} tokens and were cut", file=sys.stderr)


def main() -> None:
    parser = cli.Parser(__doc__)
    count = cli.integer(1)
    parser.add_argument("source", type=cli.input_file, help="untokenised text, a document per line")
    parser.add_argument("--out", type=cli.output_file, required=True)
    parser.add_argument("--checkpoint", type=cli.input_file, required=True)
    parser.add_argument(
        "--data", type=cli.input_folder, required=True, help="folder with dict.{source,target}.txt"
    )
    parser.add_argument("--bpe", choices=list(BPE_FILES), default="gpt2")
    parser.add_argument(
        "--bpe-dir",
        type=cli.input_folder,
        required=True,
        help="encoder.json and vocab.bpe, or sentencepiece.model",
    )
    parser.add_argument("--beam", type=count, default=4)
    parser.add_argument("--lenpen", type=cli.number(0), default=2.0)
    parser.add_argument("--max-len-b", type=count, default=140, help="longest summary, in tokens")
    parser.add_argument("--min-len", type=count, default=55)
    parser.add_argument("--no-repeat-ngram-size", type=cli.integer(0), default=3)
    parser.add_argument("--max-tokens", type=cli.integer(2), default=8192, help="source tokens of a batch")
    parser.add_argument("--chunk", type=count, default=128, help="lines between two writes")
    parser.add_argument("--cpu", action="store_true", help="even if there is a GPU")
    parser.add_argument("--fp32", action="store_true", help="full precision on a GPU")
    args = parser.parse_args()
    if args.min_len > args.max_len_b:
        parser.error(f"--min-len {args.min_len} is more than --max-len-b {args.max_len_b}")
    check_outputs([args.out], [args.source, args.checkpoint])

    lines = read_lines(args.source)
    if not lines:
        raise InputError(f"{args.source} is empty")
    done = keep_whole_lines(args.out)
    if done > len(lines):
        raise InputError(f"{args.out} has {done} lines, more than {args.source} ({len(lines)}): delete it")
    if done < len(lines):
        write_summaries(lines, done, args)


if __name__ == "__main__":
    cli.run(main)
