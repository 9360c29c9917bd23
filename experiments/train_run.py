"""A training of the queue, by train.sh, which resumes by itself."""

import shutil
import subprocess
import time
from pathlib import Path

from benchmarks.bench import provenance
from experiments.corpus import Corpus
from experiments.runs import Run
from experiments.workspace import Place, Workspace, environment
from rdrop_tools.cli import InputError
from rdrop_tools.lines import replacing

POLL_SECONDS = 2
# The training is a session of its own, killed when its standard input ends: closed by the queue, or with it.
# Where Linux groups processes by session, nice counts within a session only: autogroup has the session's own.
LEADER = """
{ echo "${NICE:-19}" >/proc/self/autogroup; } 2>/dev/null
exec 3<&0; (read -r <&3; kill -KILL -- "-$$") & exec "$@" 3<&- </dev/null
"""


def train(workspace: Workspace, corpus: Corpus, run: Run, place: Place) -> None:
    """Train a run until its updates or its patience are at an end.

    fairseq's --patience counts anew in a resumed run, which would go on longer than one not interrupted.

    Raises:
        InputError: the training failed; names its log.
    """
    out, script = workspace.out(run.name), corpus.train(run)
    folders = {"OUT": str(out), "DATA": str(workspace.folder / corpus.data(run))}
    if run.start:
        folders["FROM"] = str(workspace.out(run.start))
    if not commit_file(workspace, run).exists():
        with replacing(commit_file(workspace, run)) as file:
            file.write(provenance("cpu")["commit"])
    go_back(corpus, run, out)
    log = workspace.folder / f"{run.name}.log"
    with log.open("ab") as file:
        process = subprocess.Popen(
            ["bash", "-c", LEADER, "training", *place.start, *script.command],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=file,
            env=environment(script.settings | place.settings | folders | place.environment),
            start_new_session=True,
        )
    with process:
        while process.poll() is None and not corpus.curve(out, run)[1]:
            time.sleep(POLL_SECONDS)
    # Leaving the block has closed the standard input of the training, and waited for it.
    go_back(corpus, run, out)
    if not corpus.is_trained(out, run):
        raise InputError(f"the training failed, see {log}")


def go_back(corpus: Corpus, run: Run, folder: Path) -> None:
    """Makes the checkpoints those of the curve.

    fairseq saves an epoch before it logs its training: killed in between, it does that epoch again. And it
    may have done some more when the end of patience is seen.
    """
    points, _ = corpus.curve(folder, run)
    epochs = len(points)
    numbers = {int(path.stem.removeprefix("checkpoint")): path for path in folder.glob("checkpoint[0-9]*.pt")}
    later = [path for epoch, path in numbers.items() if epoch > epochs]
    if not later:
        return
    if epochs == 0:
        later = [*folder.glob("checkpoint*.pt")]
    else:
        for name, epoch in {"last": epochs, "best": points.index(corpus.best(points)) + 1}.items():
            if epoch in numbers:
                part = folder / f"checkpoint_{name}.part"
                shutil.copyfile(numbers[epoch], part)
                part.replace(part.with_suffix(".pt"))
    for path in later:
        path.unlink()


def commit_file(workspace: Workspace, run: Run) -> Path:
    """Has the commit of the code that began the training."""
    return workspace.folder / f"{run.name}.commit"
