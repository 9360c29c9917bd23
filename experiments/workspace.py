"""Where the queue keeps its data, checkpoints and logs, and how it calls the recipes' scripts."""

import importlib.metadata
import os
import shlex
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.bench import provenance
from experiments.runs import Run
from rdrop_tools.cli import InputError

ROOT = Path(__file__).resolve().parents[1]
Points = list[dict[str, Any]]  # the curve of a training, a point a validation
Result = dict[str, Any]  # the JSON of a run
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


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Of Python and of those packages that are installed."""
    found = {"python": provenance("cpu")["python"]}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


class Script(NamedTuple):
    """A script of a recipe, with its settings, without the folders."""

    settings: dict[str, str]
    command: list[str]

    def __str__(self) -> str:
        words = [f"{key}={value}" for key, value in self.settings.items()]
        return " ".join([*words, shlex.join(self.command)]).replace(f"{ROOT}/", "")


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
    """A run in the folder of all data and runs."""

    folder: Path
    run: Run

    @property
    def out(self) -> Path:
        """Of its training."""
        return self.folder / "runs" / self.run.name

    def call(self, script: Script, name: str, place: Place | None = None) -> None:
        """Calls a script; its output is added to NAME.log. Raises InputError, naming that, when it fails."""
        log = self.folder / f"{name}.log"
        with log.open("ab") as file:
            done = subprocess.run(
                [*(place.start if place else []), *script.command],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=environment(script.settings | (place.environment if place else {})),
                check=False,
            )
        if done.returncode:
            raise InputError(f"{Path(script.command[0]).name} failed, see {log}")
