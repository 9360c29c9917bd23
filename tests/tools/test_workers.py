"""Worker processes of apply_bpe.py: one is killed, or the script is interrupted or killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from bad_files import LANGS, write_files
from bad_input import Result, assert_one_line, contents
from conftest import TOOLS


@pytest.fixture
def script(tmp_path):
    """It has workers, and waits for more lines of ``script.stdin``; as under nohup, SIGHUP is ignored."""
    write_files(tmp_path)
    (tmp_path / "in/train.de").write_text("der hund\n" * 9999)
    (tmp_path / "in/train.en").unlink()
    (tmp_path / "in/train.en").symlink_to("/dev/stdin")
    # The tests themselves may run in the background of a shell, which ignores SIGINT.
    command = ["env", "--default-signal=INT", "--ignore-signal=HUP", sys.executable]
    command += [TOOLS / "text/apply_bpe.py", "codes", "in", "out", *LANGS.split(), "--workers", "100000"]
    pipes = dict.fromkeys(("stdin", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, cwd=tmp_path, text=True, start_new_session=True, **pipes) as process:
        process.stdin.write(f"{'x' * 400}\n" * 3000)  # more than a pipe holds, and than two chunks
        process.stdin.flush()
        yield process
        process.kill()


def end(script, more=""):
    """Waits for the end of all that have the script's standard error: its workers too."""
    _, err = script.communicate(more, timeout=60)
    return Result(script.returncode, "", err)


def test_a_killed_worker(script, tmp_path):
    """Regression: a killed worker was a BrokenProcessPool, with a traceback."""
    children = Path(f"/proc/{script.pid}/task/{script.pid}/children").read_text().split()
    assert 1 <= len(children) <= len(os.sched_getaffinity(0)) < 100000
    os.kill(int(children[0]), signal.SIGKILL)
    result = end(script, "the dog\n" * 5000)
    assert_one_line(result, "a worker process was killed, perhaps for its memory", code=1)
    assert not contents(tmp_path / "out")


@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGINT, 130, "error: interrupted\n"), (signal.SIGTERM, 143, "")]
)
def test_an_interrupt_leaves_no_file_and_no_process(script, tmp_path, number, code, said):
    """Regression: an interrupt was a traceback of every worker; terminated, workers and files stayed."""
    os.killpg(script.pid, signal.SIGHUP)
    os.killpg(script.pid, number)  # to all of them, as a terminal does
    assert end(script) == (code, "", said)
    assert not contents(tmp_path / "out")


def test_no_worker_outlives_its_script(script):
    script.kill()
    end(script)
