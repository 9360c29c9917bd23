#!/usr/bin/env python3
"""Summarise a text with a trained fairseq model: a document per line in, a summary per line out.

Restartable: what --out already holds is kept, and the work goes on after its last whole line. Runs on a
GPU, in fp16, if there is one. The defaults are BART's for CNN/DailyMail.
"""

import argparse
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from fairseq.hub_utils import GeneratorHubInterface, from_pretrained
from fairseq.models.bart import BARTHubInterface, BARTModel

USER_DIR = Path(__file__).resolve().parents[2] / "rdrop_fairseq"  # makes torch load fairseq's checkpoints


def load(args: argparse.Namespace) -> GeneratorHubInterface:
    """fairseq's hub interface, with the dictionary and the BPE that the model was trained with."""
    if args.bpe == "gpt2":
        bpe = {f"gpt2_{kind}": str(args.bpe_dir / name) for kind, name in GPT2_FILES.items()}
    else:
        bpe = {"sentencepiece_model": str(args.bpe_dir / "sentencepiece.model")}
    for path in (args.checkpoint, args.data, *map(Path, bpe.values())):
        if not path.exists():
            sys.exit(f"error: {path} is not there")
    loaded = from_pretrained(
        str(args.checkpoint.resolve().parent),
        args.checkpoint.name,
        str(args.data.resolve()),
        bpe=args.bpe,
        user_dir=str(USER_DIR),
        # Of the fine-tuning, or, for published weights, of another task
        task="translation",
        source_lang="source",
        target_lang="target",
        max_tokens=args.max_tokens,
        batch_size=None,
        load_checkpoint_heads=True,
        **bpe,
    )
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


GPT2_FILES = {"encoder_json": "encoder.json", "vocab_bpe": "vocab.bpe"}


def encode(hub: GeneratorHubInterface, text: str) -> torch.Tensor:
    """Cut to the model's length, as training does with --truncate-source."""
    tokens = hub.encode(text)
    longest = hub.max_positions[0]
    return tokens if len(tokens) <= longest else torch.cat([tokens[: longest - 1], tokens[-1:]])


@torch.no_grad()
def summarize(hub: GeneratorHubInterface, texts: list[str], **decoding: Any) -> list[str]:
    hypotheses = hub.generate([encode(hub, text) for text in texts], **decoding)
    # one line each, whatever the model has written
    return [" ".join(hub.decode(beams[0]["tokens"]).split()) for beams in hypotheses]


def read_lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        sys.exit(f"error: cannot read {path}: {error}")
    return lines[:-1] if lines[-1] == "" else lines


def keep_whole_lines(path: Path) -> int:
    """Cut what a kill has left of a line, and return how many lines are there."""
    if not path.exists():
        return 0
    whole = path.read_bytes().rpartition(b"\n")
    if whole[2]:
        path.write_bytes(whole[0] + whole[1])
    return (whole[0] + whole[1]).count(b"\n")


def chunks(lines: list[str], size: int) -> Iterator[list[str]]:
    iterator = iter(lines)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, help="untokenised text, a document per line")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder with dict.{source,target}.txt")
    parser.add_argument("--bpe", choices=["gpt2", "sentencepiece"], default="gpt2")
    parser.add_argument(
        "--bpe-dir", type=Path, required=True, help="encoder.json and vocab.bpe, or sentencepiece.model"
    )
    parser.add_argument("--beam", type=int, default=4)
    parser.add_argument("--lenpen", type=float, default=2.0)
    parser.add_argument("--max-len-b", type=int, default=140, help="longest summary, in tokens")
    parser.add_argument("--min-len", type=int, default=55)
    parser.add_argument("--no-repeat-ngram-size", type=int, default=3)
    parser.add_argument("--max-tokens", type=int, default=8192, help="source tokens of a batch")
    parser.add_argument("--chunk", type=int, default=128, help="lines between two writes")
    parser.add_argument("--cpu", action="store_true", help="even if there is a GPU")
    parser.add_argument("--fp32", action="store_true", help="full precision on a GPU")
    args = parser.parse_args()

    lines = read_lines(args.source)
    done = keep_whole_lines(args.out)
    if done > len(lines):
        sys.exit(f"error: {args.out} has {done} lines, more than {args.source} ({len(lines)}): delete it")
    if done == len(lines):
        return
    hub = load(args)
    decoding = {
        name: getattr(args, name)
        for name in ("beam", "lenpen", "max_len_b", "min_len", "no_repeat_ngram_size")
    }
    with args.out.open("a", encoding="utf-8") as out:
        for chunk in chunks(lines[done:], args.chunk):
            out.writelines(f"{summary}\n" for summary in summarize(hub, chunk, **decoding))
            out.flush()
            done += len(chunk)
            print(f"{done}/{len(lines)}", file=sys.stderr)


if __name__ == "__main__":
    main()
