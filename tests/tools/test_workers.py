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

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")


@pytest.fixture
def folder(tmp_path):
    return write_files(tmp_path)


class Waiting:
    """apply_bpe.py in the midst of its work: after two chunks of pairs, it waits for more."""

    def __init__(self, folder, *before):
        self.folder = folder
        (folder / "in/train.de").write_text("the dog\n" * 3000)
        (folder / "in/train.en").unlink()
        os.mkfifo(folder / "in/train.en")
        (folder / "out").mkdir()
        for name in ("train.de", "train.de.part"):
            (folder / "out" / name).write_text("the user's\n")
        self.before = contents(folder / "out")
        command = [*before, sys.executable, TOOLS / "text" / "apply_bpe.py", "codes", "in", "out"]
        command += [*LANGS.split(), "--workers", "100000"]
        self.process = subprocess.Popen(
            command, cwd=folder, stderr=subprocess.PIPE, text=True, preexec_fn=default_signals
        )
        self.pipe = (folder / "in/train.en").open("w")
        self.pipe.write("the dog\n" * 2500)
        self.pipe.flush()
        while not self.children() or len(list((folder / "out").iterdir())) < 5:
            assert self.process.poll() is None
            time.sleep(0.01)

    def children(self):
        return [
            int(status.parent.name)
            for status in Path("/proc").glob("[0-9]*/stat")
            if parent_of(status) == self.process.pid
        ]

    def end(self):
        _, err = self.process.communicate(timeout=60)
        self.pipe.close()
        assert contents(self.folder / "out") == self.before
        return Result(self.process.returncode, "", err)


def default_signals():
    """Sets them for a new process: the tests may run under nohup, or in the background of a shell."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def is_running(process):
    """Whether it runs: a zombie, which nobody has waited for yet, does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def parent_of(status):
    try:
        return int(status.read_text().rpartition(")")[2].split()[1])
    except OSError:  # it has ended
        return None


def test_a_killed_worker(folder):
    """Regression: a killed worker was a BrokenProcessPool, with a traceback."""
    waiting = Waiting(folder)
    for child in waiting.children():
        os.kill(child, signal.SIGKILL)
    with contextlib.suppress(BrokenPipeError):
        waiting.pipe.write("the dog\n" * 500)
        waiting.pipe.close()
    assert_one_line(waiting.end(), "a worker process was killed, perhaps for its memory", code=1)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_an_interrupt_leaves_no_file_and_no_process(folder, number, code):
    """Regression: an interrupt was a traceback of every worker; terminated, workers and files stayed."""
    waiting = Waiting(folder)
    children = waiting.children()
    assert 1 <= len(children) <= len(os.sched_getaffinity(0)) < 100000
    if number == signal.SIGINT:  # as a terminal does
        for child in children:
            os.kill(child, number)
    os.kill(waiting.process.pid, number)
    result = waiting.end()
    assert (result.code, result.err) == (code, "error: interrupted\n" if number == signal.SIGINT else "")
    assert not any(map(is_running, children))


def test_nohup_is_respected(folder):
    waiting = Waiting(folder, "nohup")
    os.kill(waiting.process.pid, signal.SIGHUP)
    waiting.pipe.close()
    message = "in/train.de and in/train.en do not have the same number of lines: 3000 and 2500"
    assert message in waiting.end().err


def test_no_worker_outlives_its_script(folder):
    """Regression: a worker held the other end of its own connection open, and waited there for ever."""
    waiting = Waiting(folder)
    children = waiting.children()
    waiting.process.kill()
    waiting.process.communicate(timeout=60)  # to the end of standard error, which the workers have as well
    while any(map(is_running, children)):  # for ever, should one outlive it
        time.sleep(0.01)
