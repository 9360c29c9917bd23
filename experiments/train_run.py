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
{ echo 19 >/proc/self/autogroup; } 2>/dev/null
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
    _go_back_to_what_is_logged(out, len(corpus.curve(out, run)[0]))
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
    if not corpus.is_trained(out, run):
        raise InputError(f"the training failed, see {log}")


def _go_back_to_what_is_logged(folder: Path, epochs: int) -> None:
    """fairseq saves an epoch before it logs its training: killed in between, it does that epoch again."""
    if not (folder / f"checkpoint{epochs + 1}.pt").exists():
        return
    last = folder / "checkpoint_last.pt"
    if epochs == 0:
        for path in folder.glob("checkpoint*.pt"):
            path.unlink()
    else:
        part = last.with_suffix(".part")
        shutil.copyfile(folder / f"checkpoint{epochs}.pt", part)
        part.replace(last)


def commit_file(workspace: Workspace, run: Run) -> Path:
    """Has the commit of the code that began the training."""
    return workspace.folder / f"{run.name}.commit"
