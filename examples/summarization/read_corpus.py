#!/usr/bin/env python3
"""Read a summarization corpus as it is distributed and write {train,val,test}.{source,target}.

One document and one summary per line, untokenised, white space collapsed. Pairs with an empty side are left
out; everything else that is not as expected ends with an error and no output.
"""

import gzip
import hashlib
import json
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rdrop_tools import cli
from rdrop_tools.cli import InputError
from rdrop_tools.lines import iter_lines, read_pairs, replacing_all

SPLITS = ("train", "val", "test")
Triple = tuple[str, str, str]  # split, source, target

# Not part of an article: the share buttons of the page
XSUM_BUTTONS = {
    *("Share this with", "Email", "Facebook", "Messenger", "Twitter", "Pinterest", "WhatsApp", "Linkedin"),
    *("LinkedIn", "Copy this link", "These are external links and will open in a new window"),
}
END_OF_SENTENCE = (".", "!", "?", "'", "`", '"', "\u2019", "\u201d", ")")


def tar_texts(path: Path, suffix: str) -> Iterator[tuple[str, str]]:
    """(name without folder and suffix, text) of the archive's files that end in suffix.

    Raises:
        InputError: the archive can't be read, or one of its texts is not UTF-8; names it.
    """
    cli.input_file(path)
    try:
        with tarfile.open(path, "r:gz") as archive:  # "r|gz" takes the end of a truncated file for its end
            for member in archive:
                if not member.isfile() or not member.name.endswith(suffix):
                    continue
                file = archive.extractfile(member)
                raw = b"" if file is None else file.read()
                try:
                    yield Path(member.name).stem, raw.decode("utf-8")
                except UnicodeDecodeError as error:
                    raise InputError(f"{path}: {member.name} is not UTF-8 at byte {error.start}") from None
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise damaged(path, error) from None


def damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"{path} is damaged ({error}): delete it and start again")


def with_period(line: str) -> str:
    """Captions and highlights of CNN/DM lack the end of the sentence, which ROUGE-Lsum needs."""
    return line if line.endswith(END_OF_SENTENCE) else f"{line}."


def read_story(text: str) -> tuple[str, str]:
    """Paragraphs, then one highlight after each line "@highlight"."""
    article: list[str] = []
    highlights: list[str] = []
    current = article
    for line in filter(None, map(str.strip, text.split("\n"))):
        if line.startswith("@highlight"):
            current = highlights
        else:
            current.append(with_period(line))
    return " ".join(article), " ".join(highlights)


def read_cnn_dm(folder: Path) -> Iterator[Triple]:
    split_of = {}
    for split in SPLITS:
        path = folder / f"all_{split}.txt"
        for url in filter(None, map(str.strip, iter_lines(path))):
            split_of[hashlib.sha1(url.encode()).hexdigest()] = split
    for archive in ("cnn_stories.tgz", "dailymail_stories.tgz"):
        for name, text in tar_texts(folder / archive, ".story"):
            if name in split_of:
                yield split_of.pop(name), *read_story(text)
    missing(split_of, "cnn_stories.tgz and dailymail_stories.tgz")


def read_xsum(folder: Path) -> Iterator[Triple]:
    """Each file has [SN]URL[SN], [SN]TITLE[SN], [SN]FIRST-SENTENCE[SN] (the summary) and [SN]RESTBODY[SN]."""
    path = folder / "XSum-TRAINING-DEV-TEST-SPLIT-90-5-5.json"
    splits = read_json(path)
    split_of: dict[str, str] = {}
    for split, name in (("train", "train"), ("validation", "val"), ("test", "test")):
        articles = splits.get(split) if isinstance(splits, dict) else None
        if not isinstance(articles, list) or not all(isinstance(article, str) for article in articles):
            raise InputError(f"{path} has another structure than xsum's: no list of names for {split}")
        split_of |= dict.fromkeys(articles, name)
    archive = folder / "XSUM-EMNLP18-Summary-Data-Original.tar.gz"
    for name, text in tar_texts(archive, ".summary"):
        if name not in split_of:
            continue
        parts = text.split("[SN]", 8)
        if len(parts) < 9 or parts[5:9:2] != ["FIRST-SENTENCE", "RESTBODY"]:
            raise InputError(f"{archive}: {name}.summary has no [SN]FIRST-SENTENCE[SN] and [SN]RESTBODY[SN]")
        body = [line for line in parts[8].split("\n") if line.strip() not in XSUM_BUTTONS]
        yield split_of.pop(name), "\n".join(body), parts[6]
    missing(split_of, archive.name)


def read_samsum(folder: Path) -> Iterator[Triple]:
    """The distribution's {train,val,test}.json, or {train,valid,test}.{dialogue,summary}.gz."""
    for split, name in zip(SPLITS, ("train", "valid", "test"), strict=True):
        if (folder / "train.json").exists():
            pairs = samsum_json(folder / f"{split}.json")
        else:
            pairs = read_pairs(*(folder / f"{name}.{side}.gz" for side in ("dialogue", "summary")))
        for source, target in pairs:
            yield split, source, target


def samsum_json(path: Path) -> Iterator[tuple[str, str]]:
    items = read_json(path)
    if not isinstance(items, list):
        raise InputError(f"{path} has another structure than samsum's: no list")
    for number, item in enumerate(items, 1):
        source, target = (item.get(k) if isinstance(item, dict) else None for k in ("dialogue", "summary"))
        if not isinstance(source, str) or not isinstance(target, str):
            lack = f"item {number} has no 'dialogue' and 'summary'"
            raise InputError(f"{path} has another structure than samsum's: {lack}")
        yield source, target


def read_json(path: Path) -> Any:
    try:
        return json.loads("\n".join(iter_lines(path)))
    except (ValueError, RecursionError) as error:
        raise damaged(path, error) from None


def missing(split_of: dict[str, str], archive: str) -> None:
    if split_of:
        count, one = len(split_of), next(iter(split_of))
        raise InputError(f"{archive}: {count} texts are not there, one of them {one}")


def write(triples: Iterator[Triple], out: Path) -> None:
    """All files of ``out``, or, after an error, none of them, nor the folder if it was not there."""
    new = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    try:
        write_files(triples, out)
    except BaseException:
        if new:
            out.rmdir()
        raise


def write_files(triples: Iterator[Triple], out: Path) -> None:
    written, left_out = Counter[str](), Counter[str]()
    names = [(split, side) for split in SPLITS for side in ("source", "target")]
    with replacing_all([out / f"{split}.{side}" for split, side in names]) as files:
        file_of = dict(zip(names, files, strict=True))
        for split, *texts in triples:
            lines = [" ".join(text.split()) for text in texts]
            if not all(lines):
                left_out[split] += 1
                continue
            written[split] += 1
            for side, line in zip(("source", "target"), lines, strict=True):
                try:
                    file_of[split, side].write(f"{line}\n")
                except UnicodeEncodeError as error:  # JSON can hold half of a surrogate pair
                    where = f"{split}, pair {written[split]}"
                    raise InputError(f"{where}: the {side} is no text: {error}") from None
        for split in SPLITS:
            if not written[split]:
                raise InputError(f"the corpus has no text for {split}")
    for split in SPLITS:
        print(f"{split}: {written[split]} pairs, {left_out[split]} with an empty side left out")


def main() -> None:
    readers = {"cnn_dm": read_cnn_dm, "xsum": read_xsum, "samsum": read_samsum}
    parser = cli.Parser(__doc__)
    parser.add_argument("corpus", choices=readers)
    parser.add_argument("folder", type=cli.input_folder, help="folder of the downloaded files")
    parser.add_argument("out", type=cli.output_folder)
    args = parser.parse_args()
    write(readers[args.corpus](args.folder), args.out)


if __name__ == "__main__":
    cli.run(main)
