"""Where the queue keeps its data, checkpoints and logs, and how it calls the recipes' scripts."""

import importlib.metadata
import os
import subprocess
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bench import provenance
from experiments.runs import Run
from rdrop_tools.cli import InputError

ROOT = Path(__file__).resolve().parents[1]
POLL_SECONDS = 2
Points = list[dict[str, Any]]  # the curve of a training, a point a validation
Result = dict[str, Any]  # the JSON of a run
# Settings of the scripts that an experiment makes or leaves to the recipe, whatever the shell has exported.
SETTINGS = (
    "OUT DATA FROM PAIRS BPE MERGES CRITERION ALPHA SEED MAX_UPDATE MAX_TOKENS PRECISION PROCESSES NODES "
    "NODE_RANK MASTER AVERAGE SUBSET DECODING CORPUS MODEL VOCAB WARMUP LR UPDATE_TOKENS UPDATE_FREQ "
    "BASELINE SPLIT CHECKPOINT BEAM LENPEN MAX_LEN MIN_LEN TOKENIZE TOKENIZER"
).split()
# A script is a session of its own, killed when its standard input ends: closed by the queue, or with it.
# Where Linux groups processes by session, nice counts within a session only: autogroup has the session's own.
LEADER = """
{ echo "${NICE:-19}" >/proc/self/autogroup; } 2>/dev/null
exec 3<&0; (read -r <&3; kill -KILL -- "-$$") & exec nice -n "${NICE:-19}" env "$@" 3<&- </dev/null
"""


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Of Python and of those packages that are installed."""
    found = {"python": provenance("cpu")["python"]}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True)
class Workspace:
    """A run in the folder of all data and runs; results: of the JSON files; device: cpu or cuda."""

    run: Run
    folder: Path
    results: Path
    device: str

    @property
    def json(self) -> Path:
        return self.results / f"{self.run.name}.json"

    @property
    def out(self) -> Path:
        """Of its training."""
        return self.folder / "runs" / self.run.name

    @property
    def training(self) -> list[str]:
        """Settings of train.sh. It takes fp16 on a GPU by itself; a run is the same everywhere."""
        run = self.run
        settings = [f"CRITERION={run.criterion}", f"SEED={run.seed}", f"MAX_UPDATE={run.max_update}"]
        settings += [f"ALPHA={run.alpha}"] if run.alpha else []
        settings += [f"FROM={self.folder / 'runs' / run.start}"] if run.start else []
        return [f"OUT={self.out}", *settings, "PRECISION=fp32"]

    def call(self, words: list[str], name: str, is_over: Callable[[], bool] = lambda: False) -> None:
        """Calls a script, its settings first, until it ends or is over; NAME.log gets its output.

        It has the lowest priority, and ends with this process, however that ends.

        Raises:
            InputError: it failed.
        """
        log = self.folder / f"{name}.log"
        env = {key: value for key, value in os.environ.items() if key not in SETTINGS}
        env |= {"OMP_NUM_THREADS": "1"} | ({"CUDA_VISIBLE_DEVICES": ""} if self.device == "cpu" else {})
        with log.open("ab") as file:
            process = subprocess.Popen(
                ["bash", "-c", LEADER, "queue", *words],
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=file,
                env=env,
                start_new_session=True,
            )
        with process:  # which at its end closes the standard input, and waits
            while process.poll() is None and not is_over():
                time.sleep(POLL_SECONDS)
        if process.returncode and not is_over():
            raise InputError(f"{name} failed, see {log}")
