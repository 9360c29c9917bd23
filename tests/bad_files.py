"""Good files and bad ones, for the tests that give both to the scripts."""

from conftest import sentences

LANGS = "--langs de en"
SCORED = "--hyp hyp --hyp-tok hyp --ref ref --ref-tok ref"


def write_files(folder):
    """Good are codes, in/, help/, ref, hyp, log and test.sgm; the names of the others say what they are."""
    de, en = ("".join(f"{line}\n" for line in side) for side in zip(*sentences(40, seed=6), strict=True))
    hyp = "A dog sees it.\nThe well-known cat is here.\nNobody was at home.\n"
    page = "".join(f'<p id="par_id{n}">Paragraph number {n} in de.</p>' for n in range(30))
    segment = '<seg id="1"> A dog. </seg>\n'
    texts = {"de": de, "en": en}
    files = {f"in/{split}.{lang}": texts[lang] for split in ("train", "valid", "test") for lang in texts}
    files |= {
        "help/de/page.html": page,
        "help/en-US/page.html": page.replace("in de", "in en"),
        "codes": "#version: 0.2\nt h\nth e</w>\n",
        "blank/train.de": "\n \n",
        "blank/train.en": "\n\x00\n",
        "test.sgm": segment,
        "cut.sgm": segment + segment[:20],
        "refs.sgm": "".join(f'<refset refid="{n}">{segment}</refset>' for n in (1, 2)),
        "less.xml": f"<src>{segment}{segment}</src><ref>{segment}</ref>",
        "hyp": hyp,
        "ref": hyp.replace("dog", "hound"),
        "log": "| INFO | train_inner | epoch 001: 1 / 9 loss=9, num_updates=5\n",
        "empty": "",
        "blank.txt": "\n\n\n",
        "utf16": hyp.encode("utf-16"),
    }
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    for name, target in {"link": "in", "linked": "hyp"}.items():
        (folder / name).symlink_to(target)
    return folder
