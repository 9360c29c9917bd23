"""Whether flags of fairseq-train make the model that a checkpoint has: its dictionaries and options.

Dropout may differ. What does not fit is told in one line, before anything is trained. The flags follow the
checkpoint. Shapes of parameters are compared by fairseq, which knows nothing of the rest.
"""

import argparse
import logging
import sys
import warnings
from pathlib import Path
from typing import Any

from rdrop_tools import cli


def differences(checkpoint: Path, flags: list[str]) -> list[str]:
    """What the two have otherwise, as "--encoder-layers 3, not 4" (the checkpoint's, the flags')."""
    from fairseq import options, tasks
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf
    from fairseq.models import ARCH_MODEL_REGISTRY

    from rdrop_tools.checkpoints import load_checkpoint

    fairseq_train = options.get_training_parser()
    fairseq_train.prog, fairseq_train.usage = "fairseq-train", argparse.SUPPRESS  # which is pages
    args = options.parse_args_and_arch(fairseq_train, flags)
    saved = load_checkpoint(checkpoint)["cfg"]
    theirs, of_task = _by_name(saved["model"]), _by_name(saved["task"])
    if theirs.get("arch", args.arch) != args.arch:
        return [f"--arch {theirs['arch']}, not {args.arch}"]  # other options follow from it
    for ours_file in sorted(Path(args.data).glob("dict.*.txt")):
        theirs_file = Path(of_task["data"]) / ours_file.name
        if theirs_file.exists() and theirs_file.read_bytes() != ours_file.read_bytes():
            return [f"dictionary {theirs_file}, not {ours_file}"]
    cfg = convert_namespace_to_omegaconf(args)
    try:
        tasks.setup_task(cfg.task).build_model(cfg.model)  # which completes its options
    except Exception as error:
        raise cli.InputError(f"the flags make no model: {error}") from None
    ours = _by_name(cfg.model)
    parser = argparse.ArgumentParser(add_help=False)
    ARCH_MODEL_REGISTRY[args.arch].add_args(parser)
    names = [action.dest for action in parser._actions if "drop" not in action.dest]
    return [
        f"--{name.replace('_', '-')} {theirs[name]}, not {ours[name]}"
        for name in names
        if name in theirs and name in ours and theirs[name] != ours[name]
    ]


def _by_name(options: Any) -> dict[str, Any]:
    return vars(options) if isinstance(options, argparse.Namespace) else dict(options)


def main() -> None:
    parser = cli.Parser(__doc__, usage="%(prog)s [-h] checkpoint FLAG [FLAG ...]")
    parser.add_argument("checkpoint", type=cli.input_file)
    checkpoint = parser.parse_args(sys.argv[1:2]).checkpoint
    logging.disable(logging.INFO)  # fairseq's
    warnings.simplefilter("ignore")  # hydra's
    if found := differences(checkpoint, sys.argv[2:]):
        raise cli.InputError(
            f"{checkpoint} is of another model ({'; '.join(found)}): give what it was trained with"
        )


if __name__ == "__main__":
    cli.run(main)
