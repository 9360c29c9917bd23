"""Small corpora, a small GPT-2 BPE and a small BART in the form of the published ones, for the tests."""

import argparse
import hashlib
import io
import json
import random
import tarfile

import torch
from conftest import ROOT, sentences
from own_corpora import write_lines

EXAMPLES = ROOT / "examples" / "summarization"
SIZES = {"train": 96, "valid": 11, "test": 13}
SHRUNK = [
    flag
    for side in ("encoder", "decoder")
    for name, value in (("layers", 1), ("embed-dim", 16), ("ffn-embed-dim", 32), ("attention-heads", 2))
    for flag in (f"--{side}-{name}", str(value))
]


def pairs(count, seed):
    """(document, summary): a dialogue of four turns, of which the summary tells the third."""
    rng = random.Random(seed)
    turns = [english for _, english in sentences(4 * count, seed)]
    names = ("Ann", "Bob", "Zoë")
    return [
        (
            " ".join(f"{rng.choice(names)}: {turn}" for turn in turns[4 * n : 4 * n + 4]),
            f"Ann heard: {turns[4 * n + 2]}",
        )
        for n in range(count)
    ]


def write_samsum(folder):
    for seed, (split, count) in enumerate(SIZES.items()):
        write_lines(folder, split, ("dialogue", "summary"), pairs(count, seed), compressed=True)
    return folder


def write_script(path, text):
    """A program that runs these lines of the shell; returns its path as a string."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)
    return str(path)


def write_tar(path, files):
    """An archive; files: {name in the archive: text or bytes}"""
    with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as archive:
        for name, content in files.items():
            content = content if isinstance(content, bytes) else content.encode()
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def write_cnn_dm(folder, counts=(40, 6, 7)):
    """Every third article is of CNN; one of train has no text."""
    stories = {"cnn": {}, "dailymail": {}}
    for seed, (split, count) in enumerate(zip(("train", "val", "test"), counts, strict=True)):
        urls = [f"http://web.example/{split}/{n}.html" for n in range(count)]
        (folder / f"all_{split}.txt").write_text("".join(f"{url}\n" for url in urls))
        for n, (url, (article, highlight)) in enumerate(zip(urls, pairs(count, seed), strict=True)):
            article = "" if (split, n) == ("train", 0) else article.replace(" . ", "\n\n")
            text = f"{article}\n\n@highlight\n\n{highlight.removesuffix(' .')}\n\n@highlight\n\nIt is over\n"
            site = "dailymail" if n % 3 else "cnn"
            stories[site][f"{site}/stories/{hashlib.sha1(url.encode()).hexdigest()}.story"] = text
    for site, files in stories.items():
        write_tar(folder / f"{site}_stories.tgz", files)
    return folder


def write_xsum(folder, counts=(40, 6, 7)):
    splits, files = {}, {}
    for seed, (split, count) in enumerate(zip(("train", "validation", "test"), counts, strict=True)):
        splits[split] = [f"{seed}{n:04}" for n in range(count)]
        for name, (article, summary) in zip(splits[split], pairs(count, seed), strict=True):
            files[f"bbc-summary-data/{name}.summary"] = (
                f"[SN]URL[SN]\nbbc.example/{name}\n\n[SN]TITLE[SN]\nA title\n\n"
                f"[SN]FIRST-SENTENCE[SN]\n{summary}\n\n"
                f"[SN]RESTBODY[SN]\nShare this with\nEmail\n{article}\nThe [SN] end.\n"
            )
    (folder / "XSum-TRAINING-DEV-TEST-SPLIT-90-5-5.json").write_text(json.dumps(splits))
    write_tar(folder / "XSUM-EMNLP18-Summary-Data-Original.tar.gz", files)
    return folder


def write_gpt2_bpe(folder):
    """All bytes and a few merges, with a dictionary of the ids, as fairseq distributes GPT-2's."""
    from fairseq.data.encoders.gpt2_bpe_utils import bytes_to_unicode

    merges = ["h e", "Ġ t", "Ġt he", "i n", "Ġ a", "Ġ s", "Ġ f", "a n", "Ġ c", "e s", "o n", "Ġ ."]
    symbols = [*bytes_to_unicode().values(), *(merge.replace(" ", "") for merge in merges)]
    (folder / "encoder.json").write_text(json.dumps({symbol: n for n, symbol in enumerate(symbols)}))
    (folder / "vocab.bpe").write_text("#version: 0.2\n" + "".join(f"{m}\n" for m in merges), encoding="utf-8")
    (folder / "dict.txt").write_text("".join(f"{n} 1\n" for n in range(len(symbols))))
    return folder


def write_bart(folder):
    """bart.base.tar.gz: a shrunk bart_base with random weights, of the published one's task and layout."""
    from fairseq import options, tasks
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf

    arguments = [str(folder), "--task", "denoising", "--arch", "bart_base", *SHRUNK]
    args = options.parse_args_and_arch(options.get_training_parser(), arguments)
    cfg = convert_namespace_to_omegaconf(args)
    torch.manual_seed(1)
    model = tasks.setup_task(cfg.task).build_model(cfg.model)
    buffer = io.BytesIO()
    history = {"optimizer_name": "FP16Optimizer", "lr_scheduler_state": {"best": 1.0}, "num_updates": 9}
    checkpoint = {
        "args": argparse.Namespace(**vars(args)),
        "model": model.state_dict(),
        "optimizer_history": [history],
        "extra_state": {"epoch": 1, "batch_offset": 1},
    }
    torch.save(checkpoint, buffer)
    files = {
        "bart.base/model.pt": buffer.getvalue(),
        "bart.base/dict.txt": (folder / "dict.txt").read_bytes(),
    }
    write_tar(folder / "bart.base.tar.gz", files)
    return folder
