"""rdrop_tools/lines.py: which lines a file has, and what writing leaves behind."""

import gzip
import os
import stat
from contextlib import suppress

import pytest
from any_text import for_any_text
from bad_input import contents
from sacrebleu.utils import smart_open

from rdrop_tools.cli import InputError
from rdrop_tools.lines import (
    check_outputs,
    read_columns,
    read_lines,
    read_pairs,
    replacing,
    replacing_all,
    write_rows,
)

LINES = {
    "": [],
    "\n": [""],
    "a\nb": ["a", "b"],
    "a\n\n\n": ["a", "", ""],
    "a\r\nb\r\r\n\r": ["a", "b", ""],
    "a\rb\u2028c\x00\n": ["a\rb\u2028c\x00"],
    "\ufeffa\n\ufeffb\n": ["a", "\ufeffb"],
    "\ufeff": [],
    "\ufeff\n": [""],
}


def lines_of(text):
    """What the module's docstring says: an end is a line feed, with the carriage returns before it."""
    *lines, last = text.removeprefix("\ufeff").split("\n")
    return [line.rstrip("\r") for line in (*lines, *filter(None, [last]))]


def write(rows, *paths):
    with replacing_all(paths) as files:
        return write_rows(rows, files)


@for_any_text
def test_the_lines_of_any_text(tmp_path, text):
    """Regression: a line ended at a carriage return or U+2028, and a last one without a line feed was lost.

    sacreBLEU reads as many lines of the same text, but for the byte order mark, which it keeps, and white
    space at a line's end.
    """
    assert {text: lines_of(text) for text in LINES} == LINES
    path, expected = tmp_path / "text", lines_of(text)
    path.write_bytes(text.encode())
    assert read_lines(path) == expected
    theirs = [line.rstrip().removeprefix("\ufeff") for line in smart_open(str(path))]
    assert text == "\ufeff" or theirs == [line.rstrip().removeprefix("\ufeff") for line in expected]
    (tmp_path / "text.gz").write_bytes(gzip.compress(text.encode()))
    assert read_lines(tmp_path / "text.gz") == expected
    rows = ["first", *expected]  # which may begin with what would be the mark of a file
    assert write([(row,) for row in rows], path) == len(rows)
    assert read_lines(path) == rows


def test_a_damaged_file(tmp_path):
    whole = gzip.compress(b"A dog sees it.\nThe well-known cat is here.\n")
    changed = [whole[:n] + bytes([whole[n] ^ 0xFF]) + whole[n + 1 :] for n in (10, 15)]  # a block, a byte
    for damaged in (b"A dog.\n", whole[:-12], *changed):
        (tmp_path / "text.gz").write_bytes(damaged)
        with pytest.raises(InputError, match=r"text\.gz is damaged, or not compressed by gzip"):
            read_lines(tmp_path / "text.gz")


def test_where_a_text_is_not_utf_8(tmp_path):
    for content, message in {
        b"one\ntwo\nthr\xe9e\n": "at byte 11, line 3",
        b"\xef\xbb\xbfone\n\xff\n": "at byte 7, line 2",
        b"\xef\xbb\xbfon\xe9\n": "at byte 5, line 1",
        "one".encode("utf-16"): "at byte 0, line 1",
        b"\xed\xa0\x80": "at byte 0, line 1",  # a lone surrogate
    }.items():
        (tmp_path / "text").write_bytes(content)
        with pytest.raises(InputError, match=f"text is not UTF-8 {message}"):
            read_lines(tmp_path / "text")


def test_files_of_unequal_length(tmp_path):
    """Regression: a last line without LF, or a CR on one side, was taken for a difference."""
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(b"one\r\ntwo\r2\nthree")
    b.write_bytes(b"1\n2\n3\n")
    expected = [("one", "1"), ("two\r2", "2"), ("three", "3")]
    assert list(read_pairs(a, b)) == list(zip(*read_columns(a, b), strict=True)) == expected
    b.write_bytes(b"1\n" * 6)
    for first, second, counts in ((a, b, "3 and 6"), (b, a, "6 and 3")):
        message = f"{first} and {second} do not have the same number of lines: {counts}$"
        with pytest.raises(InputError, match=message):
            list(read_pairs(first, second))
        with pytest.raises(InputError, match=message):
            read_columns(first, second)


def test_replacing_leaves_all_or_nothing(tmp_path):
    """Regression: half a file stayed after an error, and the user's own x.part was written over."""
    for name in ("x", "y", "x.part"):
        (tmp_path / name).write_text("the user's\n")
    (tmp_path / "x").chmod(0o640)
    (tmp_path / "link").symlink_to("x")
    before = contents(tmp_path)
    for error in (InputError("bad"), KeyboardInterrupt(), OSError("disk")):
        paths = [tmp_path / "x", tmp_path / "y"]
        with suppress(InputError, KeyboardInterrupt), replacing_all(paths) as files:
            files[0].write("a\n")
            raise error
        assert contents(tmp_path) == before
    write([("a", "b")], tmp_path / "link", tmp_path / "new")
    assert (tmp_path / "x").read_bytes() == b"a\n"
    assert (tmp_path / "link").is_symlink()
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640
    (tmp_path / "as_usual").touch()
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "as_usual").stat().st_mode
    assert {path.name for path in tmp_path.iterdir()} == {"x", "y", "x.part", "link", "new", "as_usual"}


def test_a_device_stays_a_device(tmp_path):
    """Regression: as root, --json /dev/null put a file in the place of the device, for everybody."""
    reader, writer = os.pipe()
    for path in ("/dev/null", f"/dev/fd/{writer}"):
        with replacing(tmp_path / path) as file:
            file.write("text\n")
    os.close(writer)
    with open(reader) as pipe:
        assert pipe.read() == "text\n"
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(InputError, match="cannot write /dev/full: No space left on device"):
        write([("text",)], tmp_path / "/dev/full")


def test_outputs_that_are_inputs_or_each_other(tmp_path):
    path, link, other = (tmp_path / name for name in ("a", "link", "b"))
    path.touch()
    link.symlink_to("a")
    for outputs, inputs in (([path], [path]), ([link], [path]), ([path], [link]), ([other, other], [])):
        with pytest.raises(InputError, match=r"would be written over .*: choose another output"):
            check_outputs(outputs, inputs)
    null = tmp_path / "/dev/null"
    check_outputs([null, null, other], [null, path])
