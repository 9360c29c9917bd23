"""Good files and bad ones, for the tests that give both to the scripts."""

import gzip

from conftest import sentences


def write_files(folder):
    """Good are codes, in/, help/, ref, hyp and test.sgm; the names of the others say what they are."""
    de, en = ("".join(f"{line}\n" for line in side) for side in zip(*sentences(40, seed=6), strict=True))
    hyp = "A dog sees it.\nThe well-known cat is here.\nNobody was at home.\n"
    segment = '<seg id="1"> A dog. </seg>\n'
    compressed = gzip.compress(hyp.encode())
    latin1 = "A dog.\nEin Hünd.\nA cat.\n".encode("latin-1")
    files = {
        f"in/{split}.{lang}": text
        for split in ("train", "valid", "test")
        for lang, text in (("de", de), ("en", en))
    }
    files |= {f"help/{lang}/page.html": page(lang) for lang in ("de", "en-US", "en-GB")}
    files |= {"codes": "#version: 0.2\nt h\nth e</w>\n", "ref": hyp.replace("dog", "hound"), "hyp": hyp}
    files |= {"in/header": "#version: 0.2\n\n", "in/version": "#version: 2x\na b\n"}
    files |= {"in/one_piece": "#version: 0.2\na b\na \n"}
    files |= {"test.sgm": segment, "cut.sgm": segment + segment[:20], "nested.sgm": segment[:-8] + segment}
    files |= {
        "refs.sgm": "".join(f'<refset refid="{n}">{segment}</refset>' for n in (1, 2)),
        "less.xml": f"<src>{segment}{segment}</src><ref>{segment}</ref>",
        "in/short.de": "a\nb\nc\n",
        "in/short.en": "a\nb\n",
        "in/bad.de": "a\nb\nc\n",
        "in/bad.en": latin1,
    }
    files |= {
        "blank/train.de": "\n \n",
        "blank/train.en": "\n\x00\n",
        "models/train.de": de,
        "models/train.model": en,
    }
    files |= {"in/none.de": "", "in/none.en": ""}
    files |= {"made/tok/train.de": hyp, "made/raw/train.en": hyp, "folders/train.de/keep": "mine"}
    files |= {"empty": "", "blank.txt": "\n\n\n", "short": "a\nb\n", "russian": "Собака спит.\n"}
    files |= {"latin1": latin1, "utf16": hyp.encode("utf-16"), "plain.gz": hyp, "cut.gz": compressed[:-12]}
    files |= {"wrong.gz": compressed[:15] + bytes([compressed[15] ^ 0xFF]) + compressed[16:]}
    files |= {"help/bad/page.html": page("de").encode("utf-16"), "help/blank/page.html": ""}
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    for name, target in {"loop": "loop", "help/loop": "loop", "link": "in", "linked": "hyp"}.items():
        (folder / name).symlink_to(target)
    return folder


def page(lang):
    return "".join(f'<p id="par_id{n}">Paragraph number {n} in {lang}.</p>' for n in range(30))
