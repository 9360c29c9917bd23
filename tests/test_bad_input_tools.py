"""Bad input to the scripts of training, benchmarks and examples: a table, a row a kind.

Before, most ended in a traceback, some in a wrong result, or in an error after all the work was done.
"""

import gzip
import io
import json
import math
import os
import tarfile

import pytest
import torch
from bad_input import assert_one_line, assert_refused, call, call_here, contents
from small_corpora import write_cnn_dm, write_gpt2_bpe, write_samsum, write_xsum

pytest.importorskip("fairseq")

AVERAGE = "scripts/training/average_checkpoints.py"
PLOT = "scripts/training/plot_training.py"
PLOT_BENCHMARK = "scripts/benchmarks/plot_benchmark.py"
LOSS = "scripts/benchmarks/benchmark_loss.py --device cpu --repeats 1 --tokens 4 --vocab 9 --dim 4"
STEP = "scripts/benchmarks/benchmark_step.py --device cpu --repeats 1 --settings small"
VARIANTS = "scripts/benchmarks/benchmark_variants.py --device cpu --repeats 1"
DIGITS = "examples/classification/train_digits.py --epochs 1 --seeds 2"
CORPUS = "examples/summarization/read_corpus.py"
SUMMARIZE = (
    "examples/summarization/summarize.py text --out out --checkpoint model.pt --data data --bpe-dir bpe"
)

# ---- average_checkpoints.py


class Runs:
    """A checkpoint that would run code."""

    def __reduce__(self):
        return os.system, ("echo this was run",)


def weights(value=1.0, **more):
    return {"model": {"w": torch.tensor([value, 2.0]), **more}}


def checkpoint_bytes(state):
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


NO_CHECKPOINT = "it is damaged, or no checkpoint of fairseq"
NO_MODEL = "is not a checkpoint of fairseq: it has no model"
CHECKPOINTS = {  # content of checkpoint1.pt: message
    "cut": (checkpoint_bytes(weights())[:700], NO_CHECKPOINT),
    "cut at its beginning": (checkpoint_bytes(weights())[:3], NO_CHECKPOINT),
    "text": (b"not a checkpoint\n", NO_CHECKPOINT),
    "empty": (b"", NO_CHECKPOINT),
    "a page": (b"<html>404</html>", NO_CHECKPOINT),
    "code": (checkpoint_bytes({"model": Runs()}), "it holds posix.system, which could run code"),
    "list": (checkpoint_bytes([1, 2]), NO_MODEL),
    "tensor": (checkpoint_bytes(torch.ones(2)), NO_MODEL),
    "no model": (checkpoint_bytes({"args": None}), NO_MODEL),
    "model a list": (checkpoint_bytes({"model": [torch.ones(2)]}), NO_MODEL),
    "model of text": (checkpoint_bytes({"model": {"w": "1, 2"}}), NO_MODEL),
    "model empty": (checkpoint_bytes({"model": {}}), NO_MODEL),
    "shape": (
        checkpoint_bytes({"model": {"w": torch.ones(3)}}),
        "w is float32 [3] there, and float32 [2] here",
    ),
    "dtype": (
        checkpoint_bytes({"model": {"w": torch.ones(2).half()}}),
        "w is float16 [2] there, and float32 [2]",
    ),
    "one more": (checkpoint_bytes(weights(v=torch.ones(1))), "v is float32 [1] there, and missing here"),
    "NaN": (checkpoint_bytes(weights(math.nan)), "w has NaN in one of checkpoint2.pt, checkpoint1.pt"),
}


@pytest.fixture
def run_folder(tmp_path):
    """run/checkpoint1.pt and so on, of which two are to be averaged."""
    folder = tmp_path / "run"
    folder.mkdir()
    for name in ("checkpoint1.pt", "checkpoint2.pt", "checkpoint_last.pt", "checkpoint.best_bleu_30.0000.pt"):
        torch.save(weights(), folder / name)
    return folder


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_checkpoints(run_folder, kind):
    """torch answered a damaged one with its advice to let it run code."""
    content, message = CHECKPOINTS[kind]
    (run_folder / "checkpoint1.pt").write_bytes(content)
    arguments = ["run", "averaged.pt", "--count", "2"]
    assert_refused(AVERAGE, arguments, message, run_folder.parent)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("absent out.pt", "argument folder: absent is not a folder"),
        ("run/checkpoint1.pt out.pt", "argument folder: run/checkpoint1.pt is not a folder"),
        ("run out.pt --count 0", "argument --count: must be at least 1, got 0"),
        ("run out.pt --count 1e1", "argument --count: must be an integer, got '1e1'"),
        ("run out.pt --count 3", "run has fewer than 3 checkpoints to average"),
        ("run absent/out.pt", "absent is not a folder"),
        ("run run", "cannot write run: Is a directory"),
        ("run run/checkpoint_last.pt --count 2", "is a name of fairseq's own checkpoints"),
        ("run ./checkpoint_best.pt --count 2", "is a name of fairseq's own checkpoints"),
        ("run checkpoint10.pt --count 2", "is a name of fairseq's own checkpoints"),
        ("run checkpoint_3_500.pt --count 2", "is a name of fairseq's own checkpoints"),
        ("run checkpoint.best_bleu_50.0.pt --count 2", "is a name of fairseq's own checkpoints"),
        ("run checkpoint_last-shard0.pt --count 2", "is a name of fairseq's own checkpoints"),
        ("run link.pt --count 2", "link.pt is a name of fairseq's own checkpoints"),
        ("run out.pt --metric bleu", "--metric goes with --which best"),
        ("run out.pt --which best --count 1", "was not saved as the best by bleu, but by None"),
        ("run out.pt --which best --count 1 --metric ppl", "the best checkpoints are by bleu"),
        ("run out.pt --which worst", "invalid choice: 'worst'"),
        (
            "run out.pt --count 2 --which best",
            "fewer than 2 checkpoints to average: ask for fewer than best:2",
        ),
    ],
)
def test_averaging_arguments(run_folder, arguments, message):
    """checkpoint_last.pt was overwritten by an average, without which no run resumes."""
    (run_folder.parent / "link.pt").symlink_to(run_folder / "checkpoint_last.pt")
    if "best" in arguments:
        (run_folder / "checkpoint.best_bleu_nan0.pt").touch()
    assert_refused(AVERAGE, arguments.split(), message, run_folder.parent)


@pytest.mark.parametrize("name", ["checkpoint_last-shard0.pt", "checkpoint3-model_part-1.pt"])
def test_parts_of_checkpoints(run_folder, name):
    """The whole ones of an earlier run were averaged in their place."""
    (run_folder / name).touch()
    message = f"run/{name} is a part of a checkpoint"
    assert_refused(AVERAGE, ["run", "out.pt", "--count", "2"], message, run_folder.parent)


def test_a_folder_for_a_checkpoint_and_a_full_disk(run_folder):
    (run_folder / "checkpoint3.pt").mkdir()
    arguments = ["run", "out.pt", "--count", "2"]
    message = "cannot read run/checkpoint3.pt: Is a directory"
    assert_refused(AVERAGE, arguments, message, run_folder.parent)
    (run_folder / "checkpoint3.pt").rmdir()
    message = "cannot write /dev/full: No space left on device"
    assert_refused(AVERAGE, ["run", "/dev/full", "--count", "2"], message, run_folder.parent)


# ---- plot_training.py and plot_benchmark.py

RECORD = b"| INFO | train_inner | epoch 001: 1 / 9 loss=9, num_updates=5\n"
NO_LOG = "has no train_inner, train or valid lines"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("absent.log", "cannot read absent.log: No such file"),
        (".", "cannot read .: Is a directory"),
        ("empty.log", NO_LOG),
        ("utf16.log", NO_LOG),
        ("bytes.log", NO_LOG),
        ("good.log good.log", "good.log is named twice"),
        ("good.log ./good.log", "good.log is named twice"),
        ("good.log --x time", "no log line has what --x time needs"),
        ("good.log --x hours", "invalid choice: 'hours'"),
        ("good.log -o good.log", "good.log must end in .png, .pdf, .svg, .jpg"),
        ("log.png -o log.png", "log.png would be written over log.png"),
        ("good.log log.png -o link.png", "link.png would be written over log.png"),
        ("good.log -o a.xyz", "a.xyz must end in .png"),
        ("good.log -o a.pgf", "a.pgf must end in .png"),
        ("good.log -o absent/a.png", "cannot write absent/a.png: "),
        ("good.log -o /dev/full", "cannot write /dev/full: No space left on device"),
        ("cut.log.gz", "cut.log.gz is damaged, or not compressed by gzip"),
    ],
)
def test_logs(tmp_path, arguments, message):
    """The log was overwritten by the picture; an unknown format was told after all logs were read."""
    for name, content in {
        "good.log": RECORD,
        "log.png": RECORD,
        "empty.log": b"",
        "utf16.log": RECORD.decode().encode("utf-16"),
        "bytes.log": bytes(range(256)),
        "cut.log.gz": gzip.compress(RECORD)[:-9],
    }.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "link.png").symlink_to("log.png")
    assert_refused(PLOT, arguments.split(), message, tmp_path)


COLUMNS = "contestant,passes,tokens,vocab,dim,dtype,median_ms,peak_mib,device"
ROW = "matrix products,2,20,50,8,float32,1.5,3.5,CPU"
OTHER = "ours,2,20,50,16,float32,1.5,3.5,CPU"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "is not of benchmark_loss.py: it has no contestant, device, dim, dtype, median_ms"),
        (["a,b", "1,2"], "is not of benchmark_loss.py: it has no contestant"),
        ([COLUMNS.replace("peak_mib", "peak"), ROW], "is not of benchmark_loss.py: it has no peak_mib"),
        ([COLUMNS], "has no rows of 'matrix products' with 20 tokens (--tokens)"),
        ([COLUMNS, ROW.replace("20", "30")], "has no rows of 'matrix products' with 20 tokens (--tokens)"),
        ([COLUMNS, ROW, ROW.replace("1.5", "fast")], "rows.csv, line 3: could not convert string to float"),
        ([COLUMNS, ROW.replace("1.5", "")], "rows.csv, line 2: could not convert string to float"),
        ([COLUMNS, ROW.replace("1.5", "0")], "rows.csv, line 2: no time, or no memory"),
        ([COLUMNS, ROW.replace("1.5", "nan")], "rows.csv, line 2: no time, or no memory"),
        ([COLUMNS, ROW.replace("3.5", "-1")], "rows.csv, line 2: no time, or no memory"),
        ([COLUMNS, ROW.replace("50", "V")], "rows.csv, line 2: invalid literal for int()"),
        ([COLUMNS, "matrix products,2"], "rows.csv, line 2: int() argument must be"),
        ([COLUMNS, ROW, OTHER], "rows.csv, line 3: other passes, dim, dtype, device than the rows before"),
        ([COLUMNS, 'matrix" products,2,20,"50'], "rows.csv, line 1: unexpected end of data"),
        ([COLUMNS, "\udcff"], "rows.csv is not UTF-8 at byte"),
    ],
)
def test_benchmark_tables(tmp_path, lines, message):
    """Rows of two widths were drawn as one curve; a time of 0 was a division by it."""
    text = "".join(f"{line}\n" for line in lines)
    (tmp_path / "rows.csv").write_text(text, encoding="utf-8", errors="surrogateescape")
    assert_refused(PLOT_BENCHMARK, ["rows.csv", "--tokens", "20"], message, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("rows.csv --tokens 0", "argument --tokens: must be at least 1, got 0"),
        ("absent.csv", "cannot read absent.csv: No such file"),
        (".", "cannot read .: Is a directory"),
        ("rows.csv -o rows.csv", "rows.csv must end in .png"),
        ("rows.csv -o .", "cannot write .: Is a directory"),
        ("rows.csv -o rows.csv/a.png", "rows.csv/a.png: Not a directory"),
    ],
)
def test_benchmark_plot_arguments(tmp_path, arguments, message):
    (tmp_path / "rows.csv").write_text(f"{COLUMNS}\n{ROW}\n")
    assert_refused(PLOT_BENCHMARK, arguments.split(), message, tmp_path)


# ---- benchmarks and the classification example


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        (LOSS, "--repeats 0", "argument --repeats: must be at least 1, got 0"),
        (LOSS, "--repeats many", "argument --repeats: must be an integer, got 'many'"),
        (LOSS, "--tokens 4 0", "argument --tokens: must be at least 1, got 0"),
        (LOSS, "--vocab 2", "argument --vocab: must be at least 3, got 2"),
        (LOSS, "--dim 0", "argument --dim: must be at least 1, got 0"),
        (LOSS, "--passes 0", "argument --passes: must be at least"),
        (LOSS, "--chunk-size -7", "argument --chunk-size: must be at least 1, got -7"),
        (LOSS, "--max-gib nan", "argument --max-gib: must be a number of at least 0, got 'nan'"),
        (LOSS, "--max-gib -1", "argument --max-gib: must be a number of at least 0, got '-1'"),
        (LOSS, "--device gpu", "argument --device: must be cpu or cuda, got 'gpu'"),
        (LOSS, "--dtype int8", "invalid choice: 'int8'"),
        (LOSS, "--out absent/a.csv", "argument --out: cannot write absent/a.csv"),
        (LOSS, "--out .", "argument --out: cannot write .: Is a directory"),
        (LOSS, "--compile", "torch.compile needs a C++ compiler: no-compiler is not there"),
        (LOSS, "--vocab 900000000000000", "not enough memory"),
        (LOSS, "--dim 9000000000000000000", "not enough memory"),
        (STEP, "--repeats 0", "argument --repeats: must be at least 1, got 0"),
        (STEP, "--layers 0", "argument --layers: must be at least 1, got 0"),
        (STEP, "--dim 130", "--dim 130 is no multiple of --heads 4"),
        (STEP, "--heads 0", "argument --heads: must be at least 1, got 0"),
        (STEP, "--vocab 4", "argument --vocab: must be at least 5, got 4"),
        (STEP, "--dropout 1", "argument --dropout: must be a number from 0 to 0.99, got '1'"),
        (STEP, "--pre-norm yes", "argument --pre-norm: must be an integer, got 'yes'"),
        (STEP, "--max-tokens 0", "argument --max-tokens: must be at least 32, got 0"),
        (STEP, "--length 0", "argument --length: must be at least 2, got 0"),
        (STEP, "--settings large", "invalid choice: 'large'"),
        (STEP, "--passes 1", "argument --passes: must be at least 2, got 1"),
        (STEP, "--fp16", "--fp16 needs a GPU"),
        (STEP, "--out text/a.csv", "text/a.csv: Not a directory"),
        (VARIANTS, "--repeats 0", "argument --repeats: must be at least 1, got 0"),
        (VARIANTS, "--chunk-mib 0", "argument --chunk-mib: must be at least 1, got 0"),
        (VARIANTS, "--tokens 0", "argument --tokens: must be at least 1, got 0"),
        (VARIANTS, "", "torch.compile needs a C++ compiler: no-compiler is not there"),
        (DIGITS, "--epochs 0", "argument --epochs: must be at least 1, got 0"),
        (DIGITS, "--seeds 1", "argument --seeds: must be at least 2, got 1"),
        (DIGITS, "--train-size 9", "argument --train-size: must be"),
        (DIGITS, "--train-size 1188", "argument --train-size: must be"),
        (DIGITS, "--passes 1", "argument --passes: must be at least 2, got 1"),
        (DIGITS, "--dropout 1", "argument --dropout: must be a number from 0 to 0.99, got '1'"),
        (DIGITS, "--alpha -0.1", "argument --alpha: must be a number of at least 0, got '-0.1'"),
        (DIGITS, "--alpha nan", "argument --alpha: must be a number of at least 0, got 'nan'"),
        (DIGITS, "--hidden 0", "argument --hidden: must be at least 1, got 0"),
        (DIGITS, "--out absent/a.json", "argument --out: cannot write absent/a.json"),
    ],
)
def test_sizes(tmp_path, monkeypatch, script, arguments, message):
    """--repeats 1 and sizes of 0 were tracebacks; --epochs 0 printed a table."""
    monkeypatch.setenv("CXX", "no-compiler")
    (tmp_path / "text").touch()
    script, *defaults = script.split()
    if message == "not enough memory":
        result = call_here(script, *defaults, *arguments.split())
        assert_one_line(result, message)
    else:
        assert_refused(script, [*defaults, *arguments.split()], message, tmp_path)


def test_a_loss_that_is_not_finite_gives_no_table_of_it(tmp_path):
    """An alpha of 1e308 printed 10 percent accuracy, and exited 0."""
    script, *arguments = DIGITS.split()
    result = call_here(script, *arguments, "--alpha", "1e308", "--out", tmp_path / "out.json")
    assert result.code == 1
    assert result.err.startswith("error: the loss has become ")
    assert result.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


# ---- read_corpus.py


def tar_bytes(texts):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in texts.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text))
    return buffer.getvalue()


STORIES, XSUM = "dailymail_stories.tgz", "XSUM-EMNLP18-Summary-Data-Original.tar.gz"
XSUM_SPLIT = "XSum-TRAINING-DEV-TEST-SPLIT-90-5-5.json"
ITEM = {"dialogue": "Ann: hi", "summary": "Ann greets."}
FOLDER = object()


def xsum_text(text):
    return tar_bytes({"bbc-summary-data/20000.summary": text.encode()})


@pytest.mark.parametrize(
    ("corpus", "file", "content", "message"),
    [
        ("samsum", "val.json", b'[{"dialogue": "hi', "val.json is damaged (Unterminated string"),
        ("samsum", "val.json", b"", "val.json is damaged (Expecting value"),
        ("samsum", "val.json", b"{}", "val.json has another structure than samsum's: no list"),
        (
            "samsum",
            "val.json",
            b"[1]",
            "another structure than samsum's: item 1 has no 'dialogue' and 'summary'",
        ),
        ("samsum", "val.json", json.dumps([ITEM, {}]).encode(), "samsum's: item 2 has no 'dialogue' and"),
        ("samsum", "val.json", json.dumps([{**ITEM, "summary": 5}]).encode(), "samsum's: item 1 has no"),
        ("samsum", "val.json", json.dumps([{**ITEM, "summary": None}]).encode(), "samsum's: item 1 has no"),
        (
            "samsum",
            "val.json",
            json.dumps([{**ITEM, "summary": "\ud800"}]).encode(),
            "val, pair 1: the target is no",
        ),
        (
            "samsum",
            "val.json",
            json.dumps([{**ITEM, "dialogue": "a\udc00"}]).encode(),
            "val, pair 1: the source is",
        ),
        ("samsum", "val.json", b"[" * 100000, "val.json is damaged (maximum recursion depth"),
        ("samsum", "val.json", b'["caf\xe9"]', "val.json is not UTF-8 at byte 5, line 1"),
        (
            "samsum",
            "val.json",
            json.dumps([ITEM]).encode("utf-16"),
            "val.json is not UTF-8 at byte 0, line 1",
        ),
        ("samsum", "val.json", FOLDER, "cannot read samsum/val.json: Is a directory"),
        ("samsum", "val.json", None, "cannot read samsum/val.json: No such file"),
        ("samsum", "val.json", b"[]", "the corpus has no text for val"),
        ("cnn_dm", "all_val.txt", FOLDER, "cannot read cnn_dm/all_val.txt: Is a directory"),
        ("cnn_dm", "all_val.txt", None, "cannot read cnn_dm/all_val.txt: No such file"),
        ("cnn_dm", "all_val.txt", b"http://caf\xe9/\n", "all_val.txt is not UTF-8 at byte 10, line 1"),
        ("cnn_dm", "all_val.txt", b"http://web.example/none\n", "1 texts are not there, one of them 09a2"),
        ("cnn_dm", "all_val.txt", b"\n \n", "the corpus has no text for val"),
        ("cnn_dm", STORIES, b"no archive", f"{STORIES} is damaged"),
        ("cnn_dm", STORIES, b"", f"{STORIES} is damaged"),
        ("cnn_dm", STORIES, gzip.compress(b"no archive"), f"{STORIES} is damaged"),
        ("cnn_dm", STORIES, FOLDER, f"cannot read cnn_dm/{STORIES}: Is a directory"),
        ("cnn_dm", STORIES, None, f"cannot read cnn_dm/{STORIES}: No such file"),
        ("cnn_dm", STORIES, tar_bytes({"a/b.story": b"caf\xe9"}), "a/b.story is not UTF-8 at byte 3"),
        ("xsum", XSUM, xsum_text("[SN]URL[SN]"), "20000.summary has no [SN]FIRST-SENTENCE[SN] and"),
        (
            "xsum",
            XSUM,
            xsum_text("[SN]URL[SN]a[SN]TITLE[SN]b[SN]FIRST-SENTENCE[SN]c[SN]RESTBODY"),
            "20000.summary has no",
        ),
        (
            "xsum",
            XSUM_SPLIT,
            b'{"train": []}',
            "another structure than xsum's: no list of names for validation",
        ),
        (
            "xsum",
            XSUM_SPLIT,
            b'{"train": "abc"}',
            "another structure than xsum's: no list of names for train",
        ),
        (
            "xsum",
            XSUM_SPLIT,
            b'{"train": [[1]]}',
            "another structure than xsum's: no list of names for train",
        ),
        ("xsum", XSUM_SPLIT, b"[1]", "another structure than xsum's: no list of names for train"),
        ("xsum", XSUM_SPLIT, b"nothing", "is damaged (Expecting value"),
    ],
)
def test_corpora(tmp_path, corpus, file, content, message):
    """A truncated XSum text, a list of CNN/DM that is a folder, half of a surrogate pair: a traceback each.

    What had been read by then was left behind.
    """
    folder = tmp_path / corpus
    folder.mkdir()
    {"cnn_dm": write_cnn_dm, "xsum": write_xsum}.get(corpus, lambda _: None)(folder)
    if corpus == "samsum":
        for split in ("train", "val", "test"):
            (folder / f"{split}.json").write_text(json.dumps([ITEM]))
    (folder / file).unlink()
    if content is FOLDER:
        (folder / file).mkdir()
    elif content is not None:
        (folder / file).write_bytes(content)
    assert_refused(CORPUS, [corpus, corpus, "out"], message, tmp_path)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("wmt samsum out", "argument corpus: invalid choice: 'wmt'"),
        ("samsum absent out", "argument folder: absent is not a folder"),
        ("samsum samsum/train.dialogue.gz out", "is not a folder"),
        ("samsum samsum samsum/train.dialogue.gz", "cannot write in samsum/train.dialogue.gz"),
        ("samsum samsum samsum/train.dialogue.gz/out", "samsum/train.dialogue.gz"),
    ],
)
def test_corpus_arguments(tmp_path, arguments, message):
    (tmp_path / "samsum").mkdir()
    write_samsum(tmp_path / "samsum")
    assert_refused(CORPUS, arguments.split(), message, tmp_path)


def test_a_failed_corpus_leaves_the_output_of_an_earlier_call(tmp_path):
    (tmp_path / "out").mkdir()
    write_samsum(tmp_path)
    assert call_here(CORPUS, "samsum", tmp_path, tmp_path / "out").code == 0
    before = contents(tmp_path / "out")
    assert len(before) == 6
    (tmp_path / "test.summary.gz").write_bytes(gzip.compress(b"one\n"))
    assert_one_line(
        call_here(CORPUS, "samsum", tmp_path, tmp_path / "out"), "do not have the same number of lines"
    )
    assert contents(tmp_path / "out") == before


# ---- summarize.py


@pytest.fixture(scope="module")
def summarize_files(tmp_path_factory):
    """Everything but a good model."""
    folder = tmp_path_factory.mktemp("summarize")
    for name in ("data", "bpe", "a:b", "no-dict", "bad-bpe"):
        (folder / name).mkdir()
    for name in ("bpe", "data", "a:b", "bad-bpe"):
        write_gpt2_bpe(folder / name)
    for name in ("data", "a:b"):
        for side in ("source", "target"):
            (folder / name / f"dict.{side}.txt").write_bytes((folder / "bpe" / "dict.txt").read_bytes())
    (folder / "bad-bpe" / "encoder.json").write_text("{")
    (folder / "text").write_text("One.\nTwo.\n")
    (folder / "latin1").write_bytes(b"caf\xe9\n")
    (folder / "empty").touch()
    (folder / "longer").write_text("1\n2\n3\n")
    (folder / "cut.pt").write_bytes(checkpoint_bytes(weights())[:700])
    (folder / "text.pt").write_text("no checkpoint")
    torch.save({"model": Runs()}, folder / "code.pt")
    torch.save({"no": "model"}, folder / "other.pt")
    torch.save(weights(), folder / "model.pt")
    return folder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("--chunk 0", "argument --chunk: must be at least 1, got 0"),
        ("--beam 0", "argument --beam: must be at least 1, got 0"),
        ("--beam x", "argument --beam: must be an integer, got 'x'"),
        ("--lenpen nan", "argument --lenpen: must be a number of at least 0, got 'nan'"),
        ("--max-len-b 0", "argument --max-len-b: must be at least 1, got 0"),
        ("--min-len 0", "argument --min-len: must be at least 1, got 0"),
        ("--max-len-b 10", "--min-len 55 is more than --max-len-b 10"),
        ("--no-repeat-ngram-size -1", "argument --no-repeat-ngram-size: must be at least 0, got -1"),
        ("--max-tokens 0", "argument --max-tokens: must be at least 2, got 0"),
        ("text=absent", "argument source: cannot read absent: No such file"),
        ("text=data", "argument source: cannot read data: Is a directory"),
        ("text=empty", "empty is empty"),
        ("text=latin1", "latin1 is not UTF-8 at byte 3, line 1"),
        ("--out data", "argument --out: cannot write data: Is a directory"),
        ("--out absent/out", "argument --out: cannot write absent/out"),
        ("--out text", "text would be written over text"),
        ("--out model.pt", "model.pt would be written over model.pt"),
        ("--out longer", "longer has 3 lines, more than text (2): delete it"),
        ("--checkpoint absent.pt", "argument --checkpoint: cannot read absent.pt: No such file"),
        ("--checkpoint data", "argument --checkpoint: cannot read data: Is a directory"),
        ("--checkpoint cut.pt", f"cannot read cut.pt: {NO_CHECKPOINT}"),
        ("--checkpoint text.pt", f"cannot read text.pt: {NO_CHECKPOINT}"),
        ("--checkpoint code.pt", "cannot read code.pt: it holds posix.system, which could run code"),
        ("--checkpoint other.pt", "other.pt is not a checkpoint of fairseq: it has no model"),
        ("--checkpoint model.pt", "cannot load model.pt with data and bpe: "),
        ("--data absent", "argument --data: absent is not a folder"),
        ("--data no-dict", "cannot read no-dict/dict.source.txt: No such file"),
        ("--data a:b", "fairseq takes a colon for the end of a name, rename it"),
        ("--bpe-dir absent", "argument --bpe-dir: absent is not a folder"),
        ("--bpe-dir no-dict", "cannot read no-dict/encoder.json: No such file"),
        ("--bpe sentencepiece", "cannot read bpe/sentencepiece.model: No such file"),
        ("--bpe-dir bad-bpe", "cannot load model.pt with data and bad-bpe: "),
        ("--bpe words", "invalid choice: 'words'"),
    ],
)
def test_summarize(summarize_files, change, message):
    """A folder that was not there was told after the model had been loaded; the others were tracebacks."""
    script, source, *arguments = SUMMARIZE.split()
    if change.startswith("text="):
        source, change = change.removeprefix("text="), ""
    assert_refused(script, [source, *arguments, *change.split()], message, summarize_files)


# ---- as a shell calls them


@pytest.mark.parametrize("script", [AVERAGE, PLOT, PLOT_BENCHMARK, CORPUS])
def test_standard_streams(tmp_path, script):
    """In a process of its own: one line, though fairseq's import has something to say, and a C locale."""
    result = call(script, "--nonsense", cwd=tmp_path, LC_ALL="C", PYTHONUTF8="0")
    assert result.code == 2
    assert result.err.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in result.err
    assert "Traceback" not in call(script, "--help", cwd=tmp_path, redirect="| head -c 1").err
    assert not list(tmp_path.iterdir())
