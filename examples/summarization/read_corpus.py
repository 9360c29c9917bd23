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
from contextlib import contextmanager
from pathlib import Path

from rdrop_tools import cli
from rdrop_tools.cli import InputError
from rdrop_tools.lines import iter_lines, read_pairs, replacing_all

SPLITS = ("train", "val", "test")
SIDES = ("source", "target")
Triple = tuple[str, str, str]  # split, source, target

# Not part of an article: the share buttons of the page
XSUM_BUTTONS = {
    *("Share this with", "Email", "Facebook", "Messenger", "Twitter", "Pinterest", "WhatsApp", "Linkedin"),
    *("LinkedIn", "Copy this link", "These are external links and will open in a new window"),
}
END_OF_SENTENCE = (".", "!", "?", "'", "`", '"', "\u2019", "\u201d", ")")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Names the file when it is damaged, or has another structure than expected."""
    try:
        yield
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({error}): delete it and start again") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} has another structure than it should have: {error}") from None


def tar_texts(path: Path, suffix: str) -> Iterator[tuple[str, str]]:
    """(name without folder and suffix, text) of the archive's files that end in suffix."""
    with reading(cli.input_file(path)), tarfile.open(path, "r:gz") as archive:
        for member in archive:  # "r|gz" would take the end of a truncated file for its end
            if member.name.endswith(suffix) and (file := archive.extractfile(member)):
                yield Path(member.name).stem, file.read().decode("utf-8")


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
        for url in filter(None, map(str.strip, iter_lines(folder / f"all_{split}.txt"))):
            split_of[hashlib.sha1(url.encode()).hexdigest()] = split
    for archive in ("cnn_stories.tgz", "dailymail_stories.tgz"):
        for name, text in tar_texts(folder / archive, ".story"):
            if name in split_of:
                yield split_of.pop(name), *read_story(text)
    check_all_found(split_of, "cnn_stories.tgz and dailymail_stories.tgz")


def read_xsum(folder: Path) -> Iterator[Triple]:
    """Each file has [SN]URL[SN], [SN]TITLE[SN], [SN]FIRST-SENTENCE[SN] (the summary) and [SN]RESTBODY[SN]."""
    path = folder / "XSum-TRAINING-DEV-TEST-SPLIT-90-5-5.json"
    archive = folder / "XSUM-EMNLP18-Summary-Data-Original.tar.gz"
    with reading(path):
        articles = json.loads(path.read_text(encoding="utf-8-sig"))
        names = zip(("train", "validation", "test"), SPLITS, strict=True)
        split_of = {article: split for name, split in names for article in articles[name]}
    for name, text in tar_texts(archive, ".summary"):
        if name not in split_of:
            continue
        parts = text.split("[SN]", 8)
        if len(parts) < 9 or parts[5:9:2] != ["FIRST-SENTENCE", "RESTBODY"]:
            raise InputError(f"{archive}: {name}.summary has no [SN]FIRST-SENTENCE[SN] and [SN]RESTBODY[SN]")
        body = [line for line in parts[8].split("\n") if line.strip() not in XSUM_BUTTONS]
        yield split_of.pop(name), "\n".join(body), parts[6]
    check_all_found(split_of, archive.name)


def read_samsum(folder: Path) -> Iterator[Triple]:
    """The distribution's {train,val,test}.json, or {train,valid,test}.{dialogue,summary}.gz."""
    for split, name in zip(SPLITS, ("train", "valid", "test"), strict=True):
        path = folder / f"{split}.json"
        if not path.exists():
            sides = (folder / f"{name}.{side}.gz" for side in ("dialogue", "summary"))
            yield from ((split, *pair) for pair in read_pairs(*sides))
            continue
        with reading(path):
            items = json.loads(path.read_text(encoding="utf-8-sig"))
            pairs = [(one_line(item["dialogue"]), one_line(item["summary"])) for item in items]
        yield from ((split, *pair) for pair in pairs)


def one_line(text: str) -> str:
    return " ".join(text.split())


def check_all_found(split_of: dict[str, str], archive: str) -> None:
    if split_of:
        count, one = len(split_of), next(iter(split_of))
        raise InputError(f"{archive}: {count} texts are not there, one of them {one}")


def write(triples: Iterator[Triple], out: Path) -> None:
    """All files of ``out``, or, after an error, none of them."""
    out.mkdir(parents=True, exist_ok=True)
    written, left_out = Counter[str](), Counter[str]()
    names = [(split, side) for split in SPLITS for side in SIDES]
    with replacing_all([out / f"{split}.{side}" for split, side in names]) as files:
        file_of = dict(zip(names, files, strict=True))
        for split, *texts in triples:
            lines = [one_line(text) for text in texts]
            if not all(lines):
                left_out[split] += 1
                continue
            written[split] += 1
            for side, line in zip(SIDES, lines, strict=True):
                file_of[split, side].write(f"{line}\n")
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
