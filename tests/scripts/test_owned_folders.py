"""Shell scripts write to folders that they made, each of its kind, one run at a time, and to nothing else."""

import os
import subprocess

import pytest
from conftest import SCRIPTS, files, run, scripts_environment
from shell_scripts import BAD, command, refused
from small_corpora import write_script

LIB = SCRIPTS / "common" / "lib.sh"


@pytest.fixture(scope="module")
def venv():
    return scripts_environment()


def own(folder, *settings, kind="quickstart", results="raw", first="", then=""):
    script = f'source "$0"; {first or ":"}; OUT=$1; own_folder OUT "$2" "${{@:3}}"; {then}'
    return ["bash", "-euc", script, LIB, folder, kind, results, *settings]


@pytest.mark.parametrize("script", sorted(BAD.keys() - {"prepare-iwslt14", "prepare-wmt14"}))
def test_what_a_script_did_not_make_survives_it(script, venv, tmp_path):
    """Regression: evaluate.sh deleted whatever folder OUT named; others erased what ended in .part."""
    names = "thesis.tex raw.part/x corpus.part/x system/hyp.txt checkpoints/checkpoint_best.pt".split()
    for path in (tmp_path / folder / name for folder in ("mine", "mine.part") for name in names):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    for out in ("mine/", "mine/thesis.tex"):
        message = refused(script, tmp_path, **venv, OUT=f"{tmp_path}/{out}")
        assert "OUT: " in message or script.endswith("evaluate")


@pytest.mark.parametrize("script", ["quickstart", "translation/evaluate"])
def test_one_scripts_folder_is_not_anothers(script, venv, tmp_path):
    """Regression: with OUT still exported from the training, evaluate.sh deleted all of its checkpoints."""
    kind = "quickstart" if script != "quickstart" else "translation-data"
    run(*own(tmp_path / "out", "A=1", kind=kind))
    message = refused(script, tmp_path, **venv, OUT=str(tmp_path / "out"))
    assert f"{tmp_path / 'out'} is of the kind {kind}, not " in message


def test_weights_go_to_a_folder_of_their_own(venv, tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "bart.base.tar.gz.part").write_text("mine")
    line, env = command("summarization/train", tmp_path)
    env |= {"MODEL": "bart.base", "OUT": str(tmp_path / "out"), "WEIGHTS": str(tmp_path / "weights")}
    result = run(*line, check=False, **venv, **env)
    assert "WEIGHTS: " in result.stdout
    assert [path.name for path in files(tmp_path / "weights")] == ["bart.base.tar.gz.part"]


def test_settings_can_be_corrected_until_there_is_a_result(tmp_path):
    """Regression: after ALPHA=abc, the right ALPHA=5 was refused as another setting."""
    out = tmp_path / "[o] ut"
    run(*own(out, "A=wrong", "B=1", results="*.pt"))
    run(*own(out, "A=1", "B=1", "C=1", results="*.pt"))
    assert (out / "settings").read_text() == "KIND=quickstart\nA=1\nB=1\nC=1\n"
    (out / "x.pt").touch()
    for settings, other in ((["A=2", "B=1", "C=1"], "A=1"), (["A=1", "B=1", "C=1", "D=1"], "D=")):
        result = run(*own(out, *settings, results="*.pt"), check=False)
        assert f"{out} was made with other settings ({other}): choose another folder" in result.stdout
    run(*own(out, "A=1", "B=1", "C=1", "no result of that yet", "D=1", results="*.pt"))
    assert "D=1" in (out / "settings").read_text().splitlines()
    assert "must not have a line break" in run(*own(out, "A=1\nB=2"), check=False).stdout


def test_two_runs_at_once_and_a_killed_one(tmp_path):
    """Regression: both wrote to the same .part. The lock of a killed run does not outlive it."""
    out = tmp_path / "out"
    line = own(out, "A=1", then="echo ready; read")
    first = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert first.stdout.readline() == b"ready\n"
    message = f"error: OUT: another run is at work in {out}: wait for its end, or choose another folder with"
    assert run(*own(out, "A=1"), check=False).stdout == f"{message} OUT\n"
    run(*own(out, "A=1", first="LOCK=.machine1"))  # another process of one training
    first.kill()
    first.communicate()
    run(*own(out, "A=1"))


def test_a_damaged_file_of_the_users_is_named_and_can_be_replaced(tmp_path):
    """Regression: the advice to delete it named the link, and a whole one had a wrong checksum."""
    local = tmp_path / "local"
    local.mkdir()
    (local / "x.gz").write_text("damaged")
    out = tmp_path / "out"

    def fetch(then=""):
        script = f'source "$0"; OUT=$1; fetch URL "$OUT/x.gz" 00; {then}'
        return run("bash", "-euc", script, LIB, out, check=False, LOCAL_FILES=str(local)).stdout

    message = f"error: {local}/x.gz is damaged: replace it and start again\n"
    assert fetch(then='damaged "$OUT/x.gz"') == message
    (local / "x.gz").write_text("whole")
    assert fetch() == ""
    (local / "x.gz").write_text("changed since")
    message = f"error: {local}/x.gz has a wrong checksum, it is not what {out} was begun with"
    assert message in fetch()


def test_a_folder_that_cannot_be_made_is_told_in_one_line():
    for out in ("/dev/full/out", "/proc/out"):
        result = run(*own(out, "A=1"), check=False)
        assert result.stdout.startswith(f"error: cannot write to {out}: ")
        assert result.stdout.count("\n") == 1


def test_a_lock_that_fails_is_not_another_run(tmp_path):
    """Regression: on a file system without locks, "another run is at work", for ever."""
    flock = tmp_path / "bin" / "flock"
    write_script(flock, "[ $1 != --version ] || exit 0\necho 'flock: 10: No locks available' >&2\nexit 71")
    path = f"{flock.parent}:{os.environ['PATH']}"
    result = run(*own(tmp_path / "out"), check=False, PATH=path)
    assert result.returncode == 1
    assert result.stdout.startswith(f"error: OUT: cannot lock {tmp_path / 'out'} (flock: 10: No locks avail")
    assert result.stdout.endswith("): choose a folder on another file system with OUT\n")
    write_script(flock, "[ $1 = --version ] || exit 127")
    assert "(flock ended with 127)" in run(*own(tmp_path / "out"), check=False, PATH=path).stdout
