"""All shell scripts that write to a folder: what they have to refuse, and a command that gets so far."""

from pathlib import Path

from conftest import ROOT, files, run

PREPARE = "MERGES=0 WORKERS=0 MIN_FREE_MB=-1"
PREPARE_TEXTS = "BPE=words VOCAB=0 WORKERS=0 MIN_FREE_MB=-1"
SYSTEM = "CORPUS=foo MODEL=foo CRITERION=foo BPE=foo VOCAB=0"
# {script: settings, each with a value that it has to refuse}; test_settings.py has all values of each kind
BAD = {
    "quickstart": "CORPUS=foo CRITERION=foo MAX_UPDATE=0 MERGES=0 HELDOUT=0 ALPHA=-1 SEED=-1 MIN_FREE_MB=-1",
    "prepare-libreoffice": f"{PREPARE} BPE=subword-nmt HELDOUT=0 LIBREOFFICE_HELP_DIR=/not/there",
    "prepare-iwslt14": f"{PREPARE} BPE=moses EXPECTED=1 EXPECTED=x,2,3 EXPECTED=9-3,1,1",
    "prepare-wmt14": f"{PREPARE} EXPECTED=1 NEWS_COMMENTARY=v8",
    "prepare-multi30k": f"{PREPARE} BPE=moses EXPECTED=1 PAIRS=0",
    "translation/prepare-text": f"{PREPARE} BPE=moses HELDOUT=0 SEPARATE=yes TOKENIZE=words",
    "translation/train": "CRITERION=foo PRECISION=bf16 MAX_UPDATE=0 MAX_TOKENS=0 PROCESSES=0 NODES=0 "
    "ALPHA=-1 SEED=-1 MIN_FREE_MB=-1 NODE_RANK=-1 NODE_RANK=1",
    "translation/evaluate": "AVERAGE=5 AVERAGE=last:0 AVERAGE=worst:1 SUBSET=../test SUBSET=dev DECODING=abc "
    "TOKENIZE=words MAX_TOKENS=0 MIN_FREE_MB=-1",
    "prepare-samsum": PREPARE_TEXTS,
    "summarization/prepare-text": f"{PREPARE_TEXTS} HELDOUT=0",
    "summarization/train": f"{SYSTEM} MAX_UPDATE=0 UPDATE_TOKENS=0 UPDATE_FREQ=0 MAX_TOKENS=0 MAX_TOKENS=512 "
    "ALPHA=-1 LR=-1 SEED=-1 WARMUP=-1 MIN_FREE_MB=-1 PRECISION=int8",
    "summarization/evaluate": f"{SYSTEM} BEAM=0 MAX_LEN=0 LENPEN=-1 MIN_LEN=-1 MIN_LEN=999 SPLIT=train "
    "TOKENIZER=words",
}


def command(script: str, folder: Path) -> tuple[list, dict[str, str]]:
    """(command, environment) of a script, with all that it looks at before OUT, in ``folder``."""
    data, texts, trained, own = (folder / name for name in ("data", "texts", "trained", "own"))
    kept = {
        data / "settings": "KIND=translation-data\nBENCHMARK=multi30k\nLANGS=en-de\nBPE=subword-nmt\n",
        data / "data-bin/dict": "kept\n",
        trained / "settings": f"KIND=translation-training\nBENCHMARK=multi30k\nSRC=en\nTGT=de\nDATA={data}\n",
        trained / "checkpoint_last.pt": "kept\n",
        texts / "settings": "KIND=summarization-data\nCORPUS=cnn_dm\n",
        texts / "bin-gpt2/dict": "kept\n",
    }
    kept |= {data / f"corpus/{kind}/test.de": "kept\n" for kind in ("raw", "tok")}
    own /= script.split("/")[0]
    for side in ("source", "target") if script.startswith("summarization") else ("en", "de"):
        kept[own / f"train.{side}"] = "".join(f"{side} {n}\n" for n in range(9))
    for path, text in kept.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    arguments = {
        "translation/prepare-text": ["mine.en-de", own],
        "translation/train": ["multi30k.en-de"],
        "translation/evaluate": [trained],
        "summarization/prepare-text": ["mine", own],
    }
    env = {"MIN_FREE_MB": "1"}
    if "/" in script and "prepare" not in script:
        env["DATA"] = str(texts if script.startswith("summarization") else data)
    (path,) = (path for home in ("examples", "scripts") for path in (ROOT / home).rglob(f"{script}.sh"))
    return [path, *arguments.get(script, [])], env


def assert_fails(message: str, *line, **env: str) -> None:
    """The command ends with this message in its last line, before the one that tells its stage."""
    result = run(*line, check=False, **env)
    assert result.returncode in (1, 2), result.stdout
    last = [line for line in result.stdout.splitlines() if not line.startswith("stopped in the stage")][-1]
    assert message in last, result.stdout
    assert "Traceback" not in result.stdout


def refused(script: str, folder: Path, **change: str) -> str:
    """The script's only line; it has changed no file and made none."""
    line, env = command(script, folder)
    before = files(folder)
    result = run(*line, check=False, **{**env, **change})
    assert result.returncode == 1, (change, result.stdout)
    assert result.stdout.startswith("error: "), (change, result.stdout)
    assert result.stdout.count("\n") == 1, (change, result.stdout)
    assert files(folder) == before, change
    return result.stdout
