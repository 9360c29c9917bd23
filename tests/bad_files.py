"""Good files and bad ones, for the tests that give both to the scripts."""

from conftest import sentences

SPLITS = ("train", "valid", "test")


def write_files(folder):
    """Good are codes, in/, help/, ref, hyp and test.sgm; the names of the others say what they are."""
    de, en = ("".join(f"{line}\n" for line in side) for side in zip(*sentences(40, seed=6), strict=True))
    hyp = "A dog sees it.\nThe well-known cat is here.\nNobody was at home.\n"
    segment = '<seg id="1"> A dog. </seg>\n'
    files = {f"in/{split}.{lang}": text for split in SPLITS for lang, text in (("de", de), ("en", en))}
    files |= {f"help/{lang}/page.html": page(lang) for lang in ("de", "en-US")}
    files |= {
        "codes": "#version: 0.2\nt h\nth e</w>\n",
        "in/short.de": "a\nb\nc\n",
        "in/short.en": "a\nb\n",
        "blank/train.de": "\n \n",
        "blank/train.en": "\n\x00\n",
        "made/tok/train.de": hyp,
        "folders/train.de/keep": "mine",
        "test.sgm": segment,
        "cut.sgm": segment + segment[:20],
        "hyp": hyp,
        "ref": hyp.replace("dog", "hound"),
        "empty": "",
        "blank.txt": "\n\n\n",
        "short": "a\nb\n",
        "russian": "Собака спит.\n",
        "latin1": "A dog.\nEin Hünd.\nA cat.\n".encode("latin-1"),
        "utf16": hyp.encode("utf-16"),
        "plain.gz": hyp,
    }
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    for name, target in {"loop": "loop", "link": "in", "linked": "hyp"}.items():
        (folder / name).symlink_to(target)
    return folder


def page(lang):
    return "".join(f'<p id="par_id{n}">Paragraph number {n} in {lang}.</p>' for n in range(30))
