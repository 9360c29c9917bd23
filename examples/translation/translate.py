#!/usr/bin/env python3
"""Translate standard input, a sentence a line, with a trained fairseq model; the text in, the text out.

Every line gives a line: an empty one for an empty line, and for one that is longer than the model takes; how
many these were is said in the end. The pieces are made and put together as those that the model was trained
on. Flags that are not listed here go to fairseq's generator, as fairseq-generate has them (--beam 5).
"""

import argparse
import logging
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import sentencepiece as spm
import torch

from rdrop_tools import cli
from rdrop_tools.cli import InputError
from rdrop_tools.lines import decode_lines
from rdrop_tools.text.apply_bpe import splitter
from rdrop_tools.text.moses import add_tokeniser_arguments, detokeniser, tokeniser, tokeniser_options
from rdrop_tools.text.sentencepiece_encode import clean

LineFunction = Callable[[str], str]


def text_functions(args: argparse.Namespace) -> tuple[LineFunction, LineFunction]:
    """From text to pieces; and, after fairseq has put the pieces of a translation together, to text."""
    if args.bpe == "sentencepiece":
        model = spm.SentencePieceProcessor(model_file=str(_of_source(args, "sentencepiece{}.model")))
        return lambda line: " ".join(model.encode(clean(line), out_type=str)), str
    split = splitter(_of_source(args, "codes{}"))
    tokenise = tokeniser(args.source, tokeniser_options(args))
    return lambda line: split(tokenise(line)), detokeniser(args.target)


def _of_source(args: argparse.Namespace, name: str) -> Path:
    """The file of both languages, or, where each has its own, that of the source."""
    joint, own = (args.pieces / name.format(part) for part in ("", f".{args.source}"))
    return cli.input_file(own if own.exists() else joint)


def load(args: argparse.Namespace, flags: list[str]) -> Any:
    """fairseq's GeneratorHubInterface, its generator set by the flags of fairseq-generate.

    Raises:
        InputError: fairseq does not take the flags; or checkpoints and data do not belong together.
    """
    logging.disable(logging.INFO)  # fairseq logs and warns from its import on
    warnings.simplefilter("ignore")
    from fairseq import checkpoint_utils, options, tasks
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf
    from fairseq.hub_utils import GeneratorHubInterface

    import rdrop_fairseq
    from rdrop_tools.training.average_checkpoints import average, choose, save

    paths = choose(args.run, args.which, args.count)
    user_dir = str(Path(rdrop_fairseq.__file__).parent)
    flags = [str(args.data), "--user-dir", user_dir, "--task", "translation", *flags]
    flags += ["-s", args.source, "-t", args.target, "--max-tokens", str(args.max_tokens)]
    parser = options.get_generation_parser(interactive=True)
    parser.usage = argparse.SUPPRESS  # pages
    cfg = convert_namespace_to_omegaconf(options.parse_args_and_arch(parser, flags))
    with tempfile.TemporaryDirectory() as folder:
        averaged = Path(folder) / "averaged.pt"
        save(average(paths), averaged)
        try:
            task = tasks.setup_task(cfg.task)
            models, _ = checkpoint_utils.load_model_ensemble([str(averaged)], task=task)
        except Exception as error:  # of fairseq or torch, for another model or dictionary
            raise InputError(f"cannot load {args.run} with {args.data}: {error}") from None
    hub = GeneratorHubInterface(cfg, task, models)
    hub.eval()
    return hub.cuda() if torch.cuda.is_available() and not cfg.common.cpu else hub


class Translator:
    """Translates lines, and counts those without a translation."""

    def __init__(self, hub: Any, args: argparse.Namespace) -> None:
        self.hub = hub
        self.to_pieces, self.to_text = text_functions(args)
        self.post_process = args.bpe.replace("-", "_")  # as fairseq has it
        self.longest = min(hub.max_positions[0], args.max_tokens)
        self.lines = self.empty = self.too_long = 0

    @torch.no_grad()
    def __call__(self, lines: list[str]) -> list[str]:
        sources: dict[int, torch.Tensor] = {}
        for number, line in enumerate(lines):
            if not (pieces := self.to_pieces(line)).strip():
                self.empty += 1
                continue
            tokens = self.hub.src_dict.encode_line(pieces, add_if_not_exist=False).long()
            if len(tokens) > self.longest:
                self.too_long += 1
            else:
                sources[number] = tokens
        self.lines += len(lines)
        outputs = [""] * len(lines)
        if sources:
            found = self.hub.generate(list(sources.values()), beam=self.hub.cfg.generation.beam)
            for number, beams in zip(sources, found, strict=True):
                pieces = beams[0]["tokens"].cpu()
                outputs[number] = self.to_text(self.hub.tgt_dict.string(pieces, self.post_process))
        return outputs

    def report(self) -> None:
        too_long = f"longer than the {self.longest} pieces that the model takes"
        for count, what in ((self.empty, "empty"), (self.too_long, too_long)):
            if count:
                said = f"{count} of {self.lines} lines are {what}: their translations are empty"
                print(said, file=sys.stderr)


def chunks(lines: Iterable[str], size: int) -> Iterator[list[str]]:
    lines = iter(lines)
    while chunk := list(islice(lines, size)):
        yield chunk


def main() -> None:
    parser = cli.Parser(__doc__, allow_abbrev=False)
    parser.add_argument("run", type=cli.input_folder, help="folder of the checkpoints")
    folder: dict[str, Any] = {"type": cli.input_folder, "required": True}
    parser.add_argument("--data", **folder, help="data-bin, with the dictionaries")
    parser.add_argument("--pieces", **folder, help="SentencePiece model or codes")
    parser.add_argument("--bpe", choices=["sentencepiece", "subword-nmt"], required=True)
    parser.add_argument("--source", required=True, help="language")
    parser.add_argument("--target", required=True, help="language")
    parser.add_argument("--which", choices=["last", "best"], default="last", help="checkpoints to average")
    parser.add_argument("--count", type=cli.integer(1), default=1)
    parser.add_argument("--max-tokens", type=cli.integer(1024), default=8000, help="of a batch")
    parser.add_argument("--interactive", action="store_true", help="each line as soon as it is there")
    add_tokeniser_arguments(parser)
    args, flags = parser.parse_known_args()
    lines = decode_lines(sys.stdin.buffer, "standard input")
    translator = Translator(load(args, flags), args)
    for chunk in chunks(lines, 1 if args.interactive else 1000):
        print(*translator(chunk), sep="\n", flush=True)
    translator.report()


if __name__ == "__main__":
    cli.run(main)
