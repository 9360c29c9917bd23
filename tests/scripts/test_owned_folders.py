"""Shell scripts write to folders that they made, each of its kind, one run at a time, and to nothing else."""

import subprocess

import pytest
from conftest import SCRIPTS, run, scripts_environment
from shell_scripts import BAD, refused

LIB = SCRIPTS / "common" / "lib.sh"


def own(folder, *settings, first=":", then=":"):
    script = f'source "$0"; {first}; OUT=$1; own_folder OUT translation-data "*.pt" "${{@:2}}"; {then}'
    return ["bash", "-euc", script, LIB, folder, *settings]


@pytest.mark.parametrize("script", BAD)
def test_what_a_script_did_not_make_survives_it(script, tmp_path):
    """Regression: evaluate.sh deleted whatever folder OUT named; others erased what ended in .part."""
    (tmp_path / "mine" / "raw.part").mkdir(parents=True)
    (tmp_path / "mine" / "raw.part" / "thesis.tex").write_text("mine")
    message = refused(script, tmp_path, **scripts_environment(), OUT=f"{tmp_path}/mine/")
    assert "OUT: " in message or script == "summarization/evaluate"


def test_one_scripts_folder_is_not_anothers(tmp_path):
    """Regression: with OUT still exported from the training, evaluate.sh deleted all of its checkpoints."""
    out = tmp_path / "out"
    run(*own(out, "A=1"))
    message = refused("translation/evaluate", tmp_path, **scripts_environment(), OUT=str(out))
    assert f"{out} is of the kind translation-data, not translation-evaluation" in message


def test_settings_can_be_corrected_until_there_is_a_result(tmp_path):
    """Regression: after ALPHA=abc, the right ALPHA=5 was refused as another setting."""
    out = tmp_path / "[o] ut"
    run(*own(out, "A=wrong", "B=1"))
    run(*own(out, "A=1", "B=1"))
    assert (out / "settings").read_text() == "KIND=translation-data\nA=1\nB=1\n"
    (out / "x.pt").touch()
    run(*own(out, "A=1", "B=1"))
    result = run(*own(out, "A=2", "B=1"), check=False)
    assert result.stdout.startswith(f"error: {out} was made with other settings (A=1): choose another folder")


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

    message = f"error: {local}/x.gz is damaged: delete or replace it, and start again\n"
    assert fetch(then='damaged "$OUT/x.gz"') == message
    (local / "x.gz").write_text("whole")
    assert fetch() == ""
    (local / "x.gz").write_text("changed since")
    message = f"error: {local}/x.gz has a wrong checksum, it is not what {out} was begun with"
    assert message in fetch()
