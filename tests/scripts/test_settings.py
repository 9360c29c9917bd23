"""Settings of all shell scripts: what they refuse, before they write or install anything."""

import pytest
from conftest import SCRIPTS, run
from shell_scripts import BAD, command, refused
from translation_data import TRANSLATION

LIB = SCRIPTS / "common" / "lib.sh"


def refused_at_once(script, folder, **change):
    """The script's line, before it has looked for the virtual environment, which is not there."""
    defaults = {"OUT": str(folder / "out"), "VENV": str(folder / "no venv"), "PYTHON": "false"}
    return refused(script, folder, **{**defaults, **change})


@pytest.mark.parametrize("script", BAD)
def test_a_bad_setting_ends_with_one_line_that_names_it(script, tmp_path):
    """Regression: MAX_UPDATE=x was an unbound variable, MAX_TOKENS=0 a division by 0."""
    for setting in BAD[script].split():
        name, value = setting.replace(",", " ").split("=")
        line = refused_at_once(script, tmp_path, **{name: value})
        assert f"error: {name}" in line
        assert value.split()[0] in line


@pytest.mark.parametrize("script", ["quickstart", "translation/evaluate", "summarization/train"])
def test_a_folder_that_fairseq_cannot_read_is_refused(script, tmp_path):
    """Regression: fairseq splits a path at a colon, and data were not found after hours of preparation."""
    for name in {"OUT", "VENV"} | {"DATA"} & {*command(script, tmp_path)[1]}:
        message = refused_at_once(script, tmp_path, **{name: f"{tmp_path}/a:b"})
        assert message.startswith(f"error: {name}: ")


def lib(script, *arguments, **env):
    return run("bash", "-euc", f'source "$0"; {script}', LIB, *arguments, check=False, **env).stdout


def accepted(check, *values):
    script = f'for value; do X=$value; ({check}) 2>/dev/null && echo "$value"; done; true'
    return lib(script, *values).splitlines()


def test_all_values_of_each_kind():
    bad = ("x", "-1", "+1", "1.0", "1e2", " 1", "1 ", "01", "0x1", "1\n2", "9" * 30, "a[0]", "MOST", "nan")
    assert accepted("check_integer 1-999999999 X", "1", "999999999", "0", *bad) == ["1", "999999999"]
    assert accepted("check_integer 0-20 X", "0", "20", "21", *bad) == ["0", "20"]
    good, bad = ["0", "5", "0.5", ".5", "5.", "3e-5", "1E+2"], ("-1", "nan", "inf", "abc", "1e", "e5", ".")
    assert accepted("check_number X", *good, *bad, "1,5", "1e999", "1 ") == good
    good, bad = ["fp16", "fp32"], ("fp", "fp16 ", "fp16 fp32", "*", "FP16")
    assert accepted("check_choice X fp16 fp32", *good, *bad) == good
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
