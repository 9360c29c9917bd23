"""Small corpora of one's own, as people have them, for the tests of prepare-text.sh."""

import csv
import gzip
import json

from conftest import SLOTS, sentences

LANGS = ("en", "ja")
ENGLISH = [english for slot in SLOTS for _, english in slot if english]
JAPANESE = "犬が 猫が 男の人が 女の人が 見る 描く 見つける 運ぶ 家を ボールを 本を 帽子を 庭で 湖で 丘の上で"


def english_japanese(count, seed):
    """The English sentences of conftest.py, as pairs; Japanese has no spaces."""
    for _, english in sentences(count, seed):
        japanese = english
        for words in zip(ENGLISH, JAPANESE.split(), strict=True):
            japanese = japanese.replace(*words)
        yield english, japanese.replace(" ", "").replace(".", "。")


def write_lines(folder, split, langs, pairs, compressed=False):
    folder.mkdir(parents=True, exist_ok=True)
    for lang, lines in zip(langs, zip(*pairs, strict=True), strict=True):
        text = "".join(f"{line}\n" for line in lines).encode()
        path = folder / f"{split}.{lang}{'.gz' if compressed else ''}"
        path.write_bytes(gzip.compress(text) if compressed else text)
    return folder


def write_csv(path, names, pairs):
    """A table with a column of numbers before the texts, and a line break in every quoted cell."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", *names])
        rows.writerows([n, *(side.replace(" ", "\n", 1) for side in pair)] for n, pair in enumerate(pairs))
    return path


def write_jsonl(path, keys, pairs):
    lines = (json.dumps(dict(zip(keys, pair, strict=True))) for pair in pairs)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path
