"""The shell scripts that write to a folder: what they have to refuse, and a command that gets so far."""

import json

from conftest import ROOT, files, run

# {script: settings, each with a value that it has to refuse}; test_settings.py has all values of each kind
BAD = {
    "quickstart": "CORPUS=foo MAX_UPDATE=0",
    "prepare-libreoffice": "BPE=subword-nmt",
    "prepare-iwslt14": "EXPECTED=1 EXPECTED=x,2,3 EXPECTED=9-3,1,1",
    "prepare-wmt14": "NEWS_COMMENTARY=v8",
    "prepare-multi30k": "BPE=moses PAIRS=0",
    "translation/prepare-text": "SEPARATE=yes TOKENIZE=words",
    "translation/train": "PRECISION=bf16 NODE_RANK=1",
    "translation/evaluate": "AVERAGE=5 AVERAGE=worst:1 SUBSET=../test DECODING=abc TOKENIZE=words",
    "prepare-samsum": "BPE=words",
    "summarization/prepare-text": "HELDOUT=0",
    "summarization/train": "CORPUS=foo MODEL=foo MAX_TOKENS=512",
    "summarization/evaluate": "SPLIT=train TOKENIZER=words MIN_LEN=999",
}
ARGUMENTS = {
    "translation/prepare-text": "mine.en-de {}/own.jsonl",
    "translation/train": "multi30k.en-de",
    "translation/evaluate": "{}/trained",
    "summarization/prepare-text": "mine {}/own.jsonl",
}
FILES = {
    "translation/settings": "KIND=translation-data\nBENCHMARK=multi30k\nLANGS=en-de\nBPE=subword-nmt\n",
    "translation/data-bin/dict": "kept\n",
    "translation/corpus/raw/test.de": "kept\n",
    "translation/corpus/tok/test.de": "kept\n",
    "trained/settings": "KIND=translation-training\nBENCHMARK=multi30k\nSRC=en\nTGT=de\n",
    "summarization/settings": "KIND=summarization-data\nCORPUS=cnn_dm\n",
    "summarization/bin-gpt2/dict": "kept\n",
    "own.jsonl": "".join(
        f"{json.dumps({key: f'{key} {n}' for key in ('en', 'de', 'source', 'target')})}\n" for n in range(9)
    ),
}


def command(script, folder):
    """(command, environment) of a script, with all that it looks at before OUT, in ``folder``."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    env = {"MIN_FREE_MB": "1"}
    if script.endswith(("/train", "/evaluate")):
        env["DATA"] = str(folder / script.split("/")[0])
    (path,) = (path for home in ("examples", "scripts") for path in (ROOT / home).rglob(f"{script}.sh"))
    return [path, *ARGUMENTS.get(script, "").format(folder).split()], env


def assert_fails(message, *line, **env):
    """The command ends with this message in its last line, before the one that tells its stage."""
    result = run(*line, check=False, **env)
    assert result.returncode in (1, 2), result.stdout
    last = [line for line in result.stdout.splitlines() if not line.startswith("stopped in the stage")][-1]
    assert message in last, result.stdout
    assert "Traceback" not in result.stdout


def refused(script, folder, **change):
    """The script's only line; it has changed no file and made none."""
    line, env = command(script, folder)
    before = files(folder)
    result = run(*line, check=False, **{**env, **change})
    assert result.returncode == 1, (change, result.stdout)
    assert result.stdout.startswith("error: "), (change, result.stdout)
    assert result.stdout.count("\n") == 1, (change, result.stdout)
    assert files(folder) == before, change
    return result.stdout
