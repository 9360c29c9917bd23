"""Settings of all shell scripts: what they refuse, before they write or install anything."""

import pytest
from conftest import SCRIPTS, run
from shell_scripts import BAD, refused
from translation_data import TRANSLATION

LIB = SCRIPTS / "common" / "lib.sh"


@pytest.mark.parametrize("script", BAD)
def test_a_bad_setting_ends_with_one_line_that_names_it(script, tmp_path):
    """Before the script has looked for the virtual environment, which is not there.

    Regression: MAX_UPDATE=x was an unbound variable, MAX_TOKENS=0 a division by 0. fairseq splits a path at a
    colon, and data were not found after hours of preparation.
    """
    defaults = {"OUT": str(tmp_path / "out"), "VENV": str(tmp_path / "no venv"), "PYTHON": "false"}
    for setting in [*BAD[script].split(), f"VENV={tmp_path}/a:b"]:
        name, value = setting.replace(",", " ").split("=")
        line = refused(script, tmp_path, **{**defaults, name: value})
        assert f"error: {name}" in line
        assert value.split()[0] in line


def lib(script, *arguments, **env):
    return run("bash", "-euc", f'source "$0"; {script}', LIB, *arguments, check=False, **env).stdout


def accepted(check, *values):
    script = f'for value; do X=$value; ({check}) 2>/dev/null && echo "$value"; done; true'
    return lib(script, *values).splitlines()


def test_all_values_of_each_kind():
    bad = ("x", "-1", "+1", "1.0", "1e2", " 1", "1 ", "01", "1\n2", "9" * 30, "a[0]", "X", "nan")
    assert accepted("check positive X", "1", "999999999", "0", *bad) == ["1", "999999999"]
    assert accepted("check natural X", "0", "20", *bad) == ["0", "20"]
    good, bad = ["0", "5", "0.5", ".5", "5.", "3e-5", "1E+2"], ("-1", "nan", "inf", "1e", "e5", ".")
    assert accepted("check number X", *good, *bad, "1,5", "1e999", "1 ") == good
    assert accepted("check 'fp1.6|fp32' X", "fp1.6", "fp32", "fp", "fp32 ", "fp1.6 fp32", "*", "fp1x6") == [
        "fp1.6",
        "fp32",
    ]
    good, bad = ["/a b", "a$b", "a'{b}"], ("a:b", "a,b", "a${b}", "two\nlines")
    assert accepted("check_folders X", *good, *bad) == good


def test_paths_become_absolute(tmp_path):
    """Regression: OUT=-x was a flag to the programs, and OUT=mine/ made mine/.part."""
    script = 'cd "$1"; A=-x B=a/b/ C=; absolute A B C; printf "%s\\n" "$A" "$B" "$C"'
    assert lib(script, tmp_path).splitlines() == [f"{tmp_path}/-x", f"{tmp_path}/a/b", ""]


def test_outputs_of_fairseq_generate_keep_their_lines(tmp_path):
    """Regression: a sentence that fairseq leaves out as too long moved all later ones up."""
    log = tmp_path / "log"
    log.write_text("T-0\tx\nH-2\t-1\ta\tb\nD-2\t-1\tno\nH-10\t0\tend\nH-0\t-inf\t\nHello\n")
    message = "9 of 12 sentences are too long for the model: their lines are empty"
    script = f'source {TRANSLATION}/common.sh; hypotheses "$1" 12 2>"$1.err"; cat "$1.err"'
    assert lib(script, log).splitlines() == ["", "", "a\tb", *[""] * 7, "end", "", message]


def test_a_last_line_without_line_feed_counts(tmp_path):
    """Regression: one side with a last line feed and one without had different numbers of lines."""
    (tmp_path / "a").write_bytes(b"x\0\n\r\ny")
    (tmp_path / "b").write_text("x\n\u2028\ny\n")
    (tmp_path / "c").write_text("x\n")
    assert lib('cd "$1"; same_lines a b; same_lines a b c 2>&1', tmp_path) == (
        "error: c has 1 lines, expected 3 as in a\n"
    )
