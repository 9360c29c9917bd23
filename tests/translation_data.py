"""Small archives with the inner structure of the real ones, for the tests of the translation scripts."""

import gzip
import subprocess
from pathlib import Path

from conftest import ROOT, run, scripts_environment, sentences
from own_corpora import write_lines

TRANSLATION = ROOT / "examples" / "translation"
MULTI30K = {"train": 120, "val": 12, "test_2016_flickr": 12, "test_2017_flickr": 5}
MULTI30K |= {"test_2017_mscoco": 4, "test_2018_flickr": 6}
COMMON = {"MERGES": "40", "WORKERS": "1", "MIN_FREE_MB": "1"}
MULTI30K_SETTINGS = {**COMMON, "EXPECTED": " ".join(map(str, MULTI30K.values()))}

# For train.sh. No buffer: its thread, still at work when a training of a few updates ends, can abort the
# interpreter.
TINY = (
    "--encoder-layers 1 --decoder-layers 1 --encoder-embed-dim 32 --decoder-embed-dim 32 "
    "--encoder-ffn-embed-dim 32 --decoder-ffn-embed-dim 32 --lr 0.01 --warmup-updates 5 --batch-size 32 "
    "--num-workers 0 --data-buffer-size 0 --log-interval 2"
).split()


def environment() -> dict[str, str]:
    return {**scripts_environment(), "OMP_NUM_THREADS": "1"}


def translate(folder: Path, text: str, *arguments, **env) -> tuple[list[str], str]:
    """(lines, what is said on standard error) of translate.sh with this text for its input."""
    (folder / "text").write_text(text, encoding="utf-8")
    command = ["bash", "-c", '"$@" <"$0"', folder / "text", TRANSLATION / "translate.sh", *arguments]
    result = run(*command, stderr=subprocess.PIPE, **env)
    assert result.stdout.endswith("\n")
    return result.stdout.split("\n")[:-1], result.stderr


def columns(count: int, seed: int) -> dict[str, list[str]]:
    """German and English sentences; "French" is the German of another alphabet, which is enough here."""
    german, english = zip(*sentences(count, seed), strict=True)
    return {"de": list(german), "en": list(english), "fr": [line.replace("der", "le") for line in german]}


def write_multi30k(folder: Path) -> Path:
    for seed, (name, count) in enumerate(MULTI30K.items()):
        texts = columns(count, seed)
        write_lines(folder, name, texts, zip(*texts.values(), strict=True), compressed=True)
    return folder


def segments(lines: list[str]) -> bytes:
    body = "".join(f'<seg id="{n}"> {line} </seg>\n' for n, line in enumerate(lines, 1))
    return f'<?xml version="1.0"?>\n<mteval><doc docid="1">\n{body}</doc></mteval>\n'.encode()


def iwslt14_members() -> dict[str, bytes]:
    """100 sentences for training, of which the filter drops one; tests of 3 sentences each."""
    members = {}
    text = columns(100, seed=3)
    text["de"][10] = "Ein Satz mit viel mehr Wörtern als der andere hat ."
    text["en"][10] = "Short ."
    text["en"][11] = "It's \"A\" <title> well-known dog & cat's."
    for lang in ("de", "en"):
        head = "<url>http://talk</url>\n<keywords>talks</keywords>\n<talkid>1</talkid>\n"
        titles = f"<title>{text[lang][0]}</title>\n<description>{text[lang][1]}</description>\n"
        body = "".join(f"{line}\n" for line in text[lang][2:])
        members[f"de-en/train.tags.de-en.{lang}"] = (head + titles + body).encode()
    for seed, name in enumerate(("TED.dev2010", "TEDX.dev2012", "TED.tst2010", "TED.tst2011", "TED.tst2012")):
        for lang, lines in columns(3, seed).items():
            if lang != "fr":
                members[f"de-en/IWSLT14.{name}.de-en.{lang}.xml"] = segments(lines)
    return members


def wmt14_archives(pair: str) -> dict[str, dict[str, bytes]]:
    """{archive: members} for en-de or en-fr: 30 sentences for each training corpus."""
    source, target = pair.split("-")
    corpora = {
        "training-parallel-europarl-v7.tgz": f"training/europarl-v7.{target}-en.",
        "training-parallel-commoncrawl.tgz": f"commoncrawl.{target}-en.",
        "training-parallel-nc-v9.tgz": f"training/news-commentary-v9.{target}-en.",
    }
    if target == "fr":
        corpora["training-parallel-un.tgz"] = "un/undoc.2000.fr-en."
        corpora["training-giga-fren.tar"] = "giga-fren.release2.fixed."
    archives: dict[str, dict[str, bytes]] = {}
    for seed, (archive, stem) in enumerate(corpora.items()):
        text = {lang: "".join(f"{line}\n" for line in lines) for lang, lines in columns(30, seed).items()}
        archives[archive] = {stem + lang: text[lang].encode() for lang in (source, target)}
    if target == "fr":
        giga = archives["training-giga-fren.tar"]
        archives["training-giga-fren.tar"] = {f"{k}.gz": gzip.compress(v) for k, v in giga.items()}
    dev, test = columns(5, seed=8), columns(6, seed=9)
    test["en"][0] = "A well-known dog’s “hat”."  # noqa: RUF001
    archives["dev.tgz"] = {
        f"dev/newstest2013.{lang}": "".join(f"{line}\n" for line in dev[lang]).encode()
        for lang in (source, target)
    }
    name = "deen" if target == "de" else "fren"
    archives["test-full.tgz"] = {
        f"test-full/newstest2014-{name}-src.en.sgm": segments(test["en"]),
        f"test-full/newstest2014-{name}-ref.{target}.sgm": segments(test[target]),
    }
    return archives
