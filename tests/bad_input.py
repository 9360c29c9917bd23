"""What every Python script owes to whatever it is given: one line of error, nothing lost, nothing left."""

import io
import runpy
import sys
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import pytest
from conftest import ROOT, TOOLS


class Result(NamedTuple):
    code: int
    out: str
    err: str


def changed(defaults, change):
    """The arguments with those of ``change`` after them: argparse takes the last of an option."""
    return [*map(str, defaults), *change]


def path_of(script):
    """``apply_bpe`` is the file of that name in rdrop_tools, benchmarks or experiments; others have paths."""
    homes = (*TOOLS.iterdir(), ROOT / "benchmarks", ROOT / "experiments")
    (path,) = [ROOT / script] if "/" in script else [p for home in homes for p in home.glob(f"{script}.py")]
    return path


def call_here(script, *arguments, stdin=b""):
    """The script in this process, where the imports are done: twenty times as fast as in one of its own."""
    path = str(path_of(script))
    stdin, out, err = (io.TextIOWrapper(io.BytesIO(content)) for content in (stdin, b"", b""))
    argv = [path, *map(str, arguments)]
    with mock.patch.multiple(sys, stdin=stdin, stdout=out, stderr=err, argv=argv):
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(path, run_name="__main__")
        out.flush()
        err.flush()
    return Result(ended.value.code, *(stream.buffer.getvalue().decode("utf-8") for stream in (out, err)))


def contents(folder):
    """{file: what is in it}"""
    return {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


def assert_one_line(result, message, code=None):
    """``error: ...`` and nothing else; ``code``: 2 for an argument that argparse refuses, 1 otherwise."""
    assert result.code in ((1, 2) if code is None else (code,)), result
    assert result.err.startswith("error: "), result.err
    assert result.err.count("\n") == 1, result.err
    assert result.err.endswith("\n")
    assert message in result.err, result.err


def assert_refused(script, arguments, message, folder, code=None, **options):
    """Called in ``folder``, the script ends with that one line, prints no result and changes no file."""
    before = contents(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        result = call_here(script, *arguments, **options)
    assert_one_line(result, message, code)
    assert result.out == ""
    assert contents(folder) == before
