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

import torch
from fairseq.hub_utils import GeneratorHubInterface, from_pretrained
from fairseq.models.bart import BARTHubInterface, BARTModel

import rdrop_fairseq
from rdrop_tools import cli
from rdrop_tools.cli import InputError
from rdrop_tools.lines import iter_raw, read_lines

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
    except Exception as error:  # of fairseq, torch or json: a file is damaged, or of another model
        names = f"{args.checkpoint} with {args.data} and {args.bpe_dir}"
        raise InputError(f"cannot load {names}: {type(error).__name__}: {error}") from None
    (model,), is_bart = loaded["models"], isinstance(loaded["models"][0], BARTModel)
    interface, models = (BARTHubInterface, model) if is_bart else (GeneratorHubInterface, [model])
    hub: GeneratorHubInterface = interface(loaded["args"], loaded["task"], models).eval()
    return hub.cuda().half() if torch.cuda.is_available() else hub


def keep_whole_lines(path: Path) -> int:
    """Cut what a kill has left of a line, and return how many lines are there."""
    if not path.exists():
        return 0
    lengths = [len(line) for line in iter_raw(path) if line.endswith(b"\n")]
    if sum(lengths) < path.stat().st_size:
        os.truncate(path, sum(lengths))
    return len(lengths)


@torch.no_grad()
def write_summaries(lines: list[str], done: int, args: argparse.Namespace) -> None:
    """Write the summaries of the lines that are not done yet; after each chunk, the file has whole lines."""
    hub = load(args)
    names = ("beam", "lenpen", "max_len_b", "min_len", "no_repeat_ngram_size")
    decoding = {name: getattr(args, name) for name in names}
    limit, cut = min(hub.max_positions[0], args.max_tokens), 0
    with args.out.open("a", encoding="utf-8", newline="\n") as out:
        for start in range(done, len(lines), args.chunk):
            sources = [hub.encode(text) for text in lines[start : start + args.chunk]]
            cut += sum(len(tokens) > limit for tokens in sources)
            # as training does with --truncate-source
            sources = [torch.cat([tokens[:-1][: limit - 1], tokens[-1:]]) for tokens in sources]
            for beams in hub.generate(sources, **decoding):
                out.write(" ".join(hub.decode(beams[0]["tokens"]).split()) + "\n")  # whatever it has written
            out.flush()
            print(f"{start + len(sources)}/{len(lines)}", file=sys.stderr)
    if cut:
        count = f"{cut} of {len(lines) - done} documents"
        print(f"{count} were longer than {limit} tokens and were cut", file=sys.stderr)


def main() -> None:
    parser = cli.Parser(__doc__)
    count = cli.integer(1)
    parser.add_argument("source", type=cli.input_file, help="untokenised text, a document per line")
    parser.add_argument("--out", type=cli.output_file, required=True)
    parser.add_argument("--checkpoint", type=cli.input_file, required=True)
    folder: dict[str, Any] = {"type": cli.input_folder, "required": True}
    parser.add_argument("--data", **folder, help="with dict.{source,target}.txt")
    parser.add_argument("--bpe", choices=list(BPE_FILES), default="gpt2")
    parser.add_argument("--bpe-dir", **folder, help="encoder.json and vocab.bpe, or sentencepiece.model")
    parser.add_argument("--beam", type=count, default=4)
    parser.add_argument("--lenpen", type=cli.number(0), default=2.0)
    parser.add_argument("--max-len-b", type=count, default=140, help="longest summary, in tokens")
    parser.add_argument("--min-len", type=count, default=55)
    parser.add_argument("--no-repeat-ngram-size", type=cli.integer(0), default=3)
    parser.add_argument("--max-tokens", type=cli.integer(2), default=8192, help="source tokens of a batch")
    parser.add_argument("--chunk", type=count, default=128, help="lines between two writes")
    args = parser.parse_args()
    lines = read_lines(args.source)
    done = keep_whole_lines(args.out)
    if done < len(lines):
        write_summaries(lines, done, args)


if __name__ == "__main__":
    cli.run(main)
