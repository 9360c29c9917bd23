"""Worker processes of apply_bpe.py that are killed, interrupted, or left alone."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bad_files import LANGS, write_files
from bad_input import Result, assert_one_line, contents
from conftest import TOOLS

HERE = Path(f"/proc/self/task/{os.getpid()}/children")
pytestmark = pytest.mark.skipif(not HERE.exists(), reason="looks for processes in /proc")


class Waiting:
    """apply_bpe.py in the midst of its work: after two chunks of pairs, it waits for more."""

    def __init__(self, folder, *before):
        write_files(folder)
        (folder / "in/train.de").write_text("the dog\n" * 3000)
        (folder / "in/train.en").unlink()
        os.mkfifo(folder / "in/train.en")
        self.out = folder / "out"
        self.out.mkdir()
        for name in ("train.de", "train.de.part"):
            (self.out / name).write_text("the user's\n")
        self.before = contents(self.out)
        # The tests themselves may run under nohup, or in the background of a shell.
        command = ["env", "--default-signal=INT,HUP", *before, sys.executable, TOOLS / "text/apply_bpe.py"]
        command += ["codes", "in", "out", *LANGS.split(), "--workers", "100000"]
        self.process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
        self.pipe = (folder / "in/train.en").open("w")
        self.pipe.write("the dog\n" * 2500)
        self.pipe.flush()
        while not self.children() or len(list(self.out.iterdir())) < 5:
            assert self.process.poll() is None
            time.sleep(0.01)

    def children(self):
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def end(self):
        _, err = self.process.communicate(timeout=60)
        self.pipe.close()
        assert contents(self.out) == self.before
        return Result(self.process.returncode, "", err)


def is_running(process):
    """Whether it runs: a zombie, which nobody has waited for yet, does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_killed_worker(tmp_path):
    """Regression: a killed worker was a BrokenProcessPool, with a traceback."""
    waiting = Waiting(tmp_path)
    for child in waiting.children():
        os.kill(child, signal.SIGKILL)
    with contextlib.suppress(BrokenPipeError):
        waiting.pipe.write("the dog\n" * 500)
        waiting.pipe.close()
    assert_one_line(waiting.end(), "a worker process was killed, perhaps for its memory", code=1)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_an_interrupt_leaves_no_file_and_no_process(tmp_path, number, code):
    """Regression: an interrupt was a traceback of every worker; terminated, workers and files stayed."""
    waiting = Waiting(tmp_path)
    children = waiting.children()
    assert 1 <= len(children) <= len(os.sched_getaffinity(0)) < 100000
    for process in [*children, waiting.process.pid] if number == signal.SIGINT else [waiting.process.pid]:
        os.kill(process, number)  # to all of them, as a terminal does
    result = waiting.end()
    assert (result.code, result.err) == (code, "error: interrupted\n" if number == signal.SIGINT else "")
    assert not any(map(is_running, children))


def test_nohup_is_respected(tmp_path):
    waiting = Waiting(tmp_path, "nohup")
    os.kill(waiting.process.pid, signal.SIGHUP)
    waiting.pipe.close()
    message = "in/train.de and in/train.en do not have the same number of lines: 3000 and 2500"
    assert message in waiting.end().err


def test_no_worker_outlives_its_script(tmp_path):
    """Regression: a worker held the other end of its own connection open, and waited there for ever."""
    waiting = Waiting(tmp_path)
    children = waiting.children()
    waiting.process.kill()
    waiting.process.communicate(timeout=60)  # to the end of standard error, which the workers have as well
    while any(map(is_running, children)):  # for ever, should one outlive it
        time.sleep(0.01)
