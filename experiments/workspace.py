"""Where the queue keeps its data, checkpoints and logs, and how it calls the recipes' scripts."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bench import provenance
from rdrop_tools.cli import InputError

ROOT = Path(__file__).resolve().parents[1]
# Settings of the scripts that an experiment makes or leaves to the recipe, whatever the shell has exported.
SETTINGS = (
    "OUT DATA FROM PAIRS BPE MERGES CRITERION ALPHA SEED MAX_UPDATE MAX_TOKENS PRECISION PROCESSES NODES "
    "NODE_RANK MASTER AVERAGE SUBSET DECODING CORPUS MODEL VOCAB WARMUP LR UPDATE_TOKENS UPDATE_FREQ "
    "BASELINE SPLIT CHECKPOINT BEAM LENPEN MAX_LEN MIN_LEN TOKENIZE TOKENIZER"
).split()


def environment(settings: dict[str, str]) -> dict[str, str]:
    """The environment of a script that takes these settings."""
    kept = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    return kept | {"OMP_NUM_THREADS": "1"} | settings


def call(command: list[Any], settings: dict[str, str], log: Path) -> None:
    """Raises InputError when the command fails, naming the log, to which its output is added."""
    with log.open("ab") as file:
        done = subprocess.run(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=environment(settings),
            check=False,
        )
    if done.returncode:
        program = next(Path(part).name for part in command if re.search(r"\.sh$|^rdrop_tools\.", str(part)))
        raise InputError(f"{program} failed, see {log}")


@dataclass(frozen=True)
class Place:
    """Where a run is trained and scored: a CPU core to itself, or a GPU, shared with so many runs.

    number: of the core, or what CUDA_VISIBLE_DEVICES calls the GPU.
    """

    device: str
    number: str
    runs: int = 1

    @property
    def name(self) -> str:
        return f"{'core' if self.device == 'cpu' else 'GPU'} {self.number}"

    @property
    def start(self) -> list[str]:
        """What a command begins with to run there when nobody else wants to."""
        nice = ["nice", "-n", os.environ.get("NICE", "19")]
        return ["taskset", "-c", self.number, *nice] if self.device == "cpu" else nice

    @property
    def settings(self) -> dict[str, str]:
        """The settings of train.sh. It takes fp16 on a GPU by itself; a run is the same everywhere."""
        return {} if self.device == "cpu" else {"PRECISION": "fp32"}

    @property
    def environment(self) -> dict[str, str]:
        return {"CUDA_VISIBLE_DEVICES": "" if self.device == "cpu" else self.number}

    @property
    def hardware(self) -> str:
        name = provenance(self.device)["device"].split(",")[0]
        if self.device == "cpu":
            return f"one core of {name}, shared with other work"
        return f"{name}, shared by {self.runs} runs"


@dataclass(frozen=True)
class Workspace:
    """The folder of all data and runs."""

    folder: Path

    def out(self, name: str) -> Path:
        """Of the training of the run of this name."""
        return self.folder / "runs" / name

    def call(self, command: list[Any], settings: dict[str, str], name: str) -> None:
        """Call a command whose output goes to NAME.log."""
        call(command, settings, self.folder / f"{name}.log")
