"""rdrop_tools/lines.py: which lines a file has, and what writing leaves behind."""

import gzip
import stat
from contextlib import suppress
from pathlib import Path

import pytest
from any_text import for_any_text
from bad_input import contents

from rdrop_tools.cli import InputError
from rdrop_tools.lines import check_outputs, read_columns, read_lines, read_pairs, replacing_all, write_rows

LINES = {
    "": [],
    "\n": [""],
    "a\nb": ["a", "b"],
    "a\n\n\n": ["a", "", ""],
    "a\r\nb\r\r\n\r": ["a", "b", ""],
    "a\rb\u2028c\x00\n": ["a\rb\u2028c\x00"],
    "\ufeffa\n\ufeffb\n": ["a", "\ufeffb"],
}


def write(rows, *paths):
    with replacing_all(paths) as files:
        return write_rows(rows, files)


def test_the_lines_of_a_text(tmp_path):
    """Regression: a line ended at a carriage return or U+2028; a last one without a line feed was lost."""
    for text, lines in LINES.items():
        (tmp_path / "text").write_bytes(text.encode())
        (tmp_path / "text.gz").write_bytes(gzip.compress(text.encode()))
        assert read_lines(tmp_path / "text") == read_lines(tmp_path / "text.gz") == lines


@for_any_text
def test_any_lines_that_are_written_are_read(tmp_path, text):
    rows = ["first", *(line.rstrip("\r") for line in text.split("\n"))]
    assert write([(row,) for row in rows], tmp_path / "text") == len(rows)
    assert read_lines(tmp_path / "text") == rows


def test_a_damaged_file(tmp_path):
    whole = gzip.compress(b"A dog sees it.\nThe well-known cat is here.\n")
    for damaged in (b"A dog.\n", whole[:-12], whole[:10] + bytes([whole[10] ^ 0xFF]) + whole[11:]):
        (tmp_path / "text.gz").write_bytes(damaged)
        with pytest.raises(InputError, match=r"text\.gz is damaged, or not compressed by gzip"):
            read_lines(tmp_path / "text.gz")


def test_where_a_text_is_not_utf_8(tmp_path):
    for content, place in {
        b"one\ntwo\nthr\xe9e\n": "byte 3 of line 3",
        "one".encode("utf-16"): "byte 0 of line 1",
        b"\xed\xa0\x80": "byte 0 of line 1",  # a lone surrogate
    }.items():
        (tmp_path / "text").write_bytes(content)
        with pytest.raises(InputError, match=f"text is not UTF-8 at {place}"):
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
    (tmp_path / "link").symlink_to("x")
    before = contents(tmp_path)
    for error in (InputError("bad"), KeyboardInterrupt(), OSError("disk")):
        paths = [tmp_path / "x", tmp_path / "y"]
        with suppress(InputError, KeyboardInterrupt), replacing_all(paths) as files:
            files[0].write("a\n")
            raise error
        assert contents(tmp_path) == before
    write([("a", "b")], tmp_path / "link", tmp_path / "new")
    assert (tmp_path / "link").is_symlink()
    after = {"x": b"a\n", "link": b"a\n", "new": b"b\n"}
    assert contents(tmp_path) == before | {tmp_path / name: content for name, content in after.items()}


def test_a_device_stays_a_device():
    """Regression: as root, --json /dev/null put a file in the place of the device, for everybody."""
    write([("text",)], Path("/dev/null"))
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    with pytest.raises(InputError, match="cannot write /dev/full: No space left on device"):
        write([("text",)], Path("/dev/full"))


def test_outputs_that_are_inputs_or_each_other(tmp_path):
    path, link, other = (tmp_path / name for name in ("a", "link", "b"))
    path.touch()
    link.symlink_to("a")
    for outputs, inputs in (([path], [path]), ([link], [path]), ([path], [link]), ([other, other], [])):
        with pytest.raises(InputError, match=r"would be written over .*: choose another output"):
            check_outputs(outputs, inputs)
    null = Path("/dev/null")
    check_outputs([null, null, other], [null, path])
