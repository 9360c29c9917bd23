#!/usr/bin/env python3
"""Read a summarization corpus as it is distributed and write {train,val,test}.{source,target}.

One document and one summary per line, untokenised, white space collapsed. Pairs with an empty side are left
out; everything else that is not as expected ends with an error and no output.
"""

import argparse
import gzip
import hashlib
import json
import sys
import tarfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SPLITS = ("train", "val", "test")
Triple = tuple[str, str, str]  # split, source, target

# Not part of an article: the share buttons of the page
XSUM_BUTTONS = {
    *("Share this with", "Email", "Facebook", "Messenger", "Twitter", "Pinterest", "WhatsApp", "Linkedin"),
    *("LinkedIn", "Copy this link", "These are external links and will open in a new window"),
}
END_OF_SENTENCE = (".", "!", "?", "'", "`", '"', "\u2019", "\u201d", ")")


class CorpusError(Exception):
    """The corpus is not what it should be; the message is for the user."""


def decode(raw: bytes, name: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CorpusError(f"{name} is not UTF-8 at byte {error.start}") from None


def damaged(path: Path, error: Exception) -> CorpusError:
    return CorpusError(f"{path} is damaged ({error}): delete it and start again")


def tar_texts(path: Path, suffix: str) -> Iterator[tuple[str, str]]:
    """(name without folder and suffix, text) of the archive's files that end in suffix."""
    try:
        with tarfile.open(path, "r:gz") as archive:  # "r|gz" takes the end of a truncated file for its end
            for member in archive:
                file = archive.extractfile(member) if member.name.endswith(suffix) else None
                if file is not None:
                    yield Path(member.name).stem, decode(file.read(), f"{path}: {member.name}")
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise damaged(path, error) from None


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
        for url in decode(path.read_bytes(), str(path)).split():
            split_of[hashlib.sha1(url.encode()).hexdigest()] = split
    for archive in ("cnn_stories.tgz", "dailymail_stories.tgz"):
        for name, text in tar_texts(folder / archive, ".story"):
            if name in split_of:
                yield split_of.pop(name), *read_story(text)
    missing(split_of, "cnn_stories.tgz and dailymail_stories.tgz")


def read_xsum(folder: Path) -> Iterator[Triple]:
    """Each file has [SN]URL[SN], [SN]TITLE[SN], [SN]FIRST-SENTENCE[SN] (the summary) and [SN]RESTBODY[SN]."""
    splits = read_json(folder / "XSum-TRAINING-DEV-TEST-SPLIT-90-5-5.json")
    names = {"train": "train", "validation": "val", "test": "test"}
    split_of = {article: names[split] for split, articles in splits.items() for article in articles}
    archive = folder / "XSUM-EMNLP18-Summary-Data-Original.tar.gz"
    for name, text in tar_texts(archive, ".summary"):
        if name not in split_of:
            continue
        parts = text.split("[SN]")
        if parts[5:9:2] != ["FIRST-SENTENCE", "RESTBODY"]:
            raise CorpusError(f"{archive}: {name}.summary has no [SN]FIRST-SENTENCE[SN] and [SN]RESTBODY[SN]")
        body = [line for line in parts[8].split("\n") if line.strip() not in XSUM_BUTTONS]
        yield split_of.pop(name), "\n".join(body), parts[6]
    missing(split_of, archive.name)


def read_samsum(folder: Path) -> Iterator[Triple]:
    """The distribution's {train,val,test}.json, or {train,valid,test}.{dialogue,summary}.gz."""
    if (folder / "train.json").exists():
        for split in SPLITS:
            for item in read_json(folder / f"{split}.json"):
                yield split, item["dialogue"], item["summary"]
        return
    for split, name in zip(SPLITS, ("train", "valid", "test"), strict=True):
        sources, targets = (gzip_lines(folder / f"{name}.{side}.gz") for side in ("dialogue", "summary"))
        if len(sources) != len(targets):
            raise CorpusError(
                f"{name}.dialogue.gz has {len(sources)} lines, {name}.summary.gz {len(targets)}"
            )
        for source, target in zip(sources, targets, strict=True):
            yield split, source, target


def gzip_lines(path: Path) -> list[str]:
    try:
        return decode(gzip.decompress(path.read_bytes()), str(path)).split("\n")[:-1]
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise damaged(path, error) from None


def read_json(path: Path) -> Any:
    try:
        return json.loads(decode(path.read_bytes(), str(path)))
    except json.JSONDecodeError as error:
        raise damaged(path, error) from None


def missing(split_of: dict[str, str], archive: str) -> None:
    if split_of:
        raise CorpusError(
            f"{archive}: {len(split_of)} texts are not there, one of them {next(iter(split_of))}"
        )


def write(triples: Iterator[Triple], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    files = {
        split: [(out / f"{split}.{side}").open("w", encoding="utf-8") for side in ("source", "target")]
        for split in SPLITS
    }
    written: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    for split, *texts in triples:
        lines = [" ".join(text.split()) for text in texts]
        if not all(lines):
            left_out[split] += 1
            continue
        written[split] += 1
        for file, line in zip(files[split], lines, strict=True):
            file.write(f"{line}\n")
    for split in SPLITS:
        for file in files[split]:
            file.close()
        if not written[split]:
            raise CorpusError(f"the corpus has no text for {split}")
    for split in SPLITS:
        print(f"{split}: {written[split]} pairs, {left_out[split]} with an empty side left out")


def main() -> None:
    readers = {"cnn_dm": read_cnn_dm, "xsum": read_xsum, "samsum": read_samsum}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", choices=readers)
    parser.add_argument("folder", type=Path, help="folder of the downloaded files")
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    try:
        write(readers[args.corpus](args.folder), args.out)
    except (CorpusError, FileNotFoundError) as error:
        sys.exit(f"error: {error}")
    except (KeyError, TypeError, AttributeError) as error:
        sys.exit(f"error: a JSON file in {args.folder} has another structure than {args.corpus}'s: {error!r}")


if __name__ == "__main__":
    main()
