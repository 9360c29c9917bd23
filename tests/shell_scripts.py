"""All shell scripts that write to a folder: what they have to refuse, and a command that gets so far."""

from pathlib import Path

from conftest import ROOT, SCRIPTS

TRANSLATION = ROOT / "examples" / "translation"
SUMMARIZATION = ROOT / "examples" / "summarization"


def bad(values: str, *names: str) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(" ".join(names).split(), tuple(values.split()))


def positive(names: str) -> dict[str, tuple[str, ...]]:
    return bad("abc 0 -1", names)


def count(names: str) -> dict[str, tuple[str, ...]]:
    return bad("x -1 1.5", names)


def number(names: str) -> dict[str, tuple[str, ...]]:
    return bad("abc -1 nan", names)


PREPARE = positive("MERGES WORKERS") | count("MIN_FREE_MB") | {"EXPECTED": ("1", "x 2 3", "9-3 1 1")}
PREPARE_TEXT = bad("moses", "BPE") | positive("MERGES WORKERS HELDOUT") | count("MIN_FREE_MB")
PREPARE_TEXTS = bad("words", "BPE") | positive("VOCAB WORKERS") | count("MIN_FREE_MB")
SYSTEM = bad("foo", "CORPUS MODEL CRITERION BPE") | positive("VOCAB")
# {script: {variable: values that it has to refuse}}
BAD = {
    "quickstart": bad("foo", "CORPUS CRITERION")
    | positive("MAX_UPDATE MERGES HELDOUT")
    | number("ALPHA")
    | count("SEED MIN_FREE_MB"),
    "prepare-libreoffice": bad("subword-nmt", "BPE")
    | positive("MERGES WORKERS HELDOUT")
    | count("MIN_FREE_MB"),
    "prepare-iwslt14": PREPARE | bad("moses", "BPE"),
    "prepare-wmt14": PREPARE | bad("v8", "NEWS_COMMENTARY"),
    "prepare-multi30k": PREPARE | bad("moses", "BPE") | positive("PAIRS"),
    "translation/prepare-text": PREPARE_TEXT | bad("yes", "SEPARATE") | bad("words", "TOKENIZE"),
    "translation/train": bad("foo bf16", "CRITERION PRECISION")
    | positive("MAX_UPDATE MAX_TOKENS PROCESSES NODES")
    | number("ALPHA")
    | count("SEED MIN_FREE_MB")
    | bad("x -1 1", "NODE_RANK"),
    "translation/evaluate": bad("5 last:0 worst:1", "AVERAGE")
    | bad("../test dev", "SUBSET")
    | bad("abc", "DECODING")
    | bad("words", "TOKENIZE")
    | positive("MAX_TOKENS")
    | count("MIN_FREE_MB"),
    "prepare-cnn_dm": PREPARE_TEXTS,
    "prepare-xsum": PREPARE_TEXTS,
    "prepare-samsum": PREPARE_TEXTS,
    "summarization/prepare-text": PREPARE_TEXTS | positive("HELDOUT"),
    "summarization/train": SYSTEM
    | positive("MAX_UPDATE UPDATE_TOKENS UPDATE_FREQ")
    | bad("abc 0 512", "MAX_TOKENS")
    | number("ALPHA LR")
    | count("SEED WARMUP MIN_FREE_MB")
    | bad("int8", "PRECISION"),
    "summarization/evaluate": SYSTEM
    | positive("BEAM MAX_LEN")
    | number("LENPEN")
    | bad("x -1 1.5 999", "MIN_LEN")
    | bad("train", "SPLIT")
    | bad("words", "TOKENIZER"),
}


def command(script: str, folder: Path) -> tuple[list, dict[str, str]]:
    """(command, environment) of a script, with all that it looks at before OUT, in ``folder``."""
    folders = {
        "data": (
            "KIND=translation-data\nBENCHMARK=multi30k\nLANGS=en-de\nBPE=subword-nmt\n",
            "data-bin/dict",
        ),
        "trained": (
            f"KIND=translation-training\nBENCHMARK=multi30k\nSRC=en\nTGT=de\nDATA={folder}/data\n",
            "checkpoint_last.pt",
        ),
        "texts": ("KIND=summarization-data\nCORPUS=cnn_dm\n", "bin-gpt2/dict"),
    }
    for name, (settings, file) in folders.items():
        for path in (file, "corpus/raw/test.de", "corpus/tok/test.de"):
            (folder / name / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / name / path).write_text("kept\n")
        (folder / name / "settings").write_text(settings)
    data, env = str(folder / "data"), {"MIN_FREE_MB": "1"}
    for name, sides in {"translation": "en de", "summarization": "source target"}.items():
        (folder / "own" / name).mkdir(parents=True, exist_ok=True)
        for side in sides.split():
            (folder / "own" / name / f"train.{side}").write_text("".join(f"{side} {n}\n" for n in range(9)))
        if script == f"{name}/prepare-text":
            mine = "mine.en-de" if name == "translation" else "mine"
            return [ROOT / "examples" / name / "prepare-text.sh", mine, folder / "own" / name], env
    if script == "quickstart":
        return [SCRIPTS / "quickstart.sh"], env
    if script == "translation/train":
        return [TRANSLATION / "train.sh", "multi30k.en-de"], {**env, "DATA": data}
    if script == "translation/evaluate":
        return [TRANSLATION / "evaluate.sh", folder / "trained"], {**env, "DATA": data}
    if script.startswith("summarization"):
        return [SUMMARIZATION / f"{Path(script).name}.sh"], {**env, "DATA": str(folder / "texts")}
    home = TRANSLATION if (TRANSLATION / f"{script}.sh").exists() else SUMMARIZATION
    return [home / f"{script}.sh"], env
