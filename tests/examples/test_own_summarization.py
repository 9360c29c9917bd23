"""Documents and summaries of one's own to a model and ROUGE, by the scripts of examples/summarization."""

import json

import pytest
from conftest import kill_when, run, scripts_environment
from own_corpora import write_jsonl
from small_corpora import EXAMPLES, SHRUNK, SIZES, pairs

pytest.importorskip("fairseq")

KEYS = ("dialogue", "summary")
SETTINGS = {"MIN_FREE_MB": "1", "WORKERS": "1", "BPE": "sentencepiece", "VOCAB": "90", "OMP_NUM_THREADS": "1"}
TRAINING = {"MODEL": "transformer", "MAX_UPDATE": "8", "UPDATE_TOKENS": "1024", "MAX_TOKENS": "512"}


@pytest.fixture(scope="module")
def env():
    return {**scripts_environment(), **SETTINGS}


def script(name, *arguments, **options):
    return run(EXAMPLES / f"{name}.sh", *arguments, **options)


@pytest.mark.slow
def test_jsonl_without_a_test_set(env, tmp_path):
    """prepare-text.sh goes on after a kill; train.sh and evaluate.sh know the corpus by its name."""
    (tmp_path / "mine").mkdir()
    write_jsonl(tmp_path / "mine" / "train.jsonl", KEYS, pairs(96, seed=0))
    out = tmp_path / "data"
    prepare = [EXAMPLES / "prepare-text.sh", "mine", tmp_path / "mine"]
    columns = dict(zip(("SRC_COLUMN", "TGT_COLUMN"), KEYS, strict=True))
    kill_when(out / "raw", *prepare, **env, **columns, OUT=str(out))
    run(*prepare, **env, **columns, OUT=str(out))
    assert len((out / "raw" / "val.target").read_text(encoding="utf-8").splitlines()) == 9
    env = {**env, **TRAINING, "CORPUS": "mine", "DATA": str(out), "CRITERION": "plain", "WARMUP": "4"}
    log = script("train", *SHRUNK, **env).stdout
    assert "R-Drop brought -1.09 ROUGE-1 on the test set" in log
    script("evaluate", **env, BEAM="1", MAX_LEN="12", MIN_LEN="2")
    rouge = json.loads((out / "transformer-plain" / "rouge-val.json").read_text())
    assert "n:9" in rouge["signature"].split("|")


def test_three_tables_are_the_three_splits(env, tmp_path):
    """JSON lines give the texts that prepare-samsum.sh takes from SAMSum's own files."""
    (tmp_path / "mine").mkdir()
    sides = ("source", "target")
    splits = {split: pairs(count, seed) for seed, (split, count) in enumerate(SIZES.items())}
    for split, texts in splits.items():
        write_jsonl(tmp_path / "mine" / f"{split}.jsonl", sides, texts)
    script("prepare-text", "mine", tmp_path / "mine", **env, OUT=str(tmp_path / "data"))
    for split, texts in splits.items():
        for side, lines in zip(sides, zip(*texts, strict=True), strict=True):
            path = tmp_path / "data" / "raw" / f"{split.replace('valid', 'val')}.{side}"
            assert path.read_text("utf-8").splitlines() == list(lines)
    assert (tmp_path / "data" / "bin-sentencepiece90" / "test.source-target.target.bin").stat().st_size


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("mine", "expected a name and a folder, got: mine"),
        ("a/b in", "the name must be of letters, digits, - and _, got a/b"),
        ("samsum in", "the name samsum is of a corpus with a script of its own"),
        ("mine in", "no texts with the keys source and target"),
        ("mine in/rows.csv", "in/rows.csv, line 2 has 3 columns, and the first line has 2"),
    ],
)
def test_refused_before_anything_is_written(env, tmp_path, arguments, message):
    (tmp_path / "in").mkdir()
    write_jsonl(tmp_path / "in" / "train.jsonl", KEYS, pairs(9, seed=0))
    (tmp_path / "in" / "rows.csv").write_text("source,target\nOne, two,three\n")
    name, *folder = arguments.split()
    command = [name, *(tmp_path / part for part in folder)]
    result = script("prepare-text", *command, **env, OUT=str(tmp_path / "out"), check=False)
    assert result.returncode == 1
    assert message in result.stdout.strip().splitlines()[-1]
    assert not (tmp_path / "out").exists()
