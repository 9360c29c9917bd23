"""Settings of all shell scripts: what they refuse, before they write or install anything."""

import pytest
from conftest import SCRIPTS, files, run
from shell_scripts import BAD, command

LIB = SCRIPTS / "common" / "lib.sh"
FOLDERS = ("a:b", "a,b", "a${b}", "two\nlines")


def refused(script, folder, **change):
    """The script's only line: it has not looked for the virtual environment, or written a file."""
    line, env = command(script, folder)
    before = files(folder)
    everything = {
        **env,
        "OUT": str(folder / "out"),
        "VENV": str(folder / "no venv"),
        "PYTHON": "false",
        **change,
    }
    result = run(*line, check=False, **everything)
    assert result.returncode == 1, (change, result.stdout)
    assert result.stdout.startswith("error: "), (change, result.stdout)
    assert result.stdout.count("\n") == 1, (change, result.stdout)
    assert {path for path in files(folder)} == {path for path in before}
    assert not (folder / "out").exists()
    return result.stdout


@pytest.mark.parametrize("script", BAD)
def test_a_bad_setting_ends_with_one_line_that_names_it(script, tmp_path):
    """MAX_UPDATE=x was an 'unbound variable', MAX_TOKENS=0 a 'division by 0'; NODE_RANK=-1 trained."""
    for name, values in BAD[script].items():
        for value in values:
            line = refused(script, tmp_path, **{name: value})
            assert f"error: {name}" in line
            assert value.split()[0] in line


@pytest.mark.parametrize("script", BAD)
def test_a_folder_that_fairseq_cannot_read_is_refused(script, tmp_path):
    """fairseq splits a path at a colon: the data were not found, after hours of preparation."""
    for value in FOLDERS:
        for name in ("OUT", "DATA", "VENV"):
            if name != "DATA" or "DATA" in command(script, tmp_path)[1]:
                assert refused(script, tmp_path, **{name: f"{tmp_path}/{value}"}).startswith(
                    f"error: {name}: "
                )


def lib(script, *arguments, **env):
    return run("bash", "-euc", f'source "$0"; {script}', LIB, *arguments, check=False, **env).stdout


def accepted(check, *values):
    return lib(f'for X; do ({check} X) 2>/dev/null && echo "$X"; done; true', *values).splitlines()


def test_numbers():
    bad = ("x", "-1", "+1", "1.0", "1e2", " 1", "1 ", "01", "0x1", "1\n2", "9" * 30, "a[0]", "MOST")
    assert accepted("check_integer 1-999999999", "1", "999999999", "0", *bad) == ["1", "999999999"]
    assert accepted("check_integer 0-20", "0", "20", "21", *bad) == ["0", "20"]
    good = ("0", "5", "0.5", ".5", "5.", "3e-5", "1E+2")
    assert accepted("check_number", *good, "-1", "nan", "inf", "1e", "e5", ".", "1,5", "1e999", "1 ") == [
        *good
    ]


def test_paths_become_absolute(tmp_path):
    """OUT=-x was a flag to the programs, and OUT=mine/ made mine/.part."""
    script = 'cd "$1"; A=-x B=a/b/ C=; absolute A B C; printf "%s\\n" "$A" "$B" "$C"'
    assert lib(script, tmp_path).splitlines() == [f"{tmp_path}/-x", f"{tmp_path}/a/b", ""]


def test_outputs_of_fairseq_generate_keep_their_lines(tmp_path):
    """A sentence that fairseq leaves out as too long moved all later ones up."""
    log = tmp_path / "log"
    log.write_text("T-0\tx\nD-2\t-1\ta\tb\nH-2\t-1\tno\nD-10\t0\tend\nD-0\t-inf\t\nHello\n")
    message = "9 of 12 sentences are too long for the model: their lines are empty"
    script = 'hypotheses "$1" D 12 2>"$1.err"; cat "$1.err"'
    assert lib(script, log).splitlines() == ["", "", "a\tb", *[""] * 7, "end", "", message]


def test_a_last_line_without_line_feed_counts(tmp_path):
    """One side with it and one without had different numbers of lines."""
    (tmp_path / "a").write_bytes(b"x\0\n\r\ny")
    (tmp_path / "b").write_text("x\n\u2028\ny\n")
    (tmp_path / "c").write_text("x\n")
    assert lib('cd "$1"; same_lines a b; same_lines a b c 2>&1', tmp_path) == (
        "error: c has 1 lines, expected 3 as in a\n"
    )
