"""Bad input to the benchmarks and to the classification example: a table, a row a kind."""

import pytest
from bad_input import assert_one_line, assert_refused, call_here, changed

pytest.importorskip("fairseq")

PLOT = "rdrop_tools/benchmarks/plot_benchmark.py"
LOSS = "rdrop_tools/benchmarks/benchmark_loss.py --device cpu --repeats 1 --tokens 4 --vocab 9 --dim 4"
STEP = "rdrop_tools/benchmarks/benchmark_step.py --device cpu --repeats 1 --settings small"
VARIANTS = "rdrop_tools/benchmarks/benchmark_variants.py --device cpu --repeats 1"
PROFILE = "rdrop_tools/benchmarks/profile_step.py --device cpu"
DIGITS = "examples/classification/train_digits.py --epochs 1 --seeds 2"

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
    assert_refused(PLOT, ["rows.csv", "--tokens", "20"], message, tmp_path)


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
    assert_refused(PLOT, arguments.split(), message, tmp_path)


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
        (STEP, "--dtype fp16", "--dtype fp16 needs a GPU"),
        (STEP, "--dtype int8", "invalid choice: 'int8'"),
        (STEP, "--compile", "torch.compile needs a C++ compiler: no-compiler is not there"),
        (LOSS, "--label-smoothing 1", "argument --label-smoothing: must be a number from 0 to 0.99, got '1'"),
        (STEP, "--out text/a.csv", "text/a.csv: Not a directory"),
        (PROFILE, "--dtype fp16", "--dtype fp16 needs a GPU"),
        (PROFILE, "--settings large", "invalid choice: 'large'"),
        (PROFILE, "--trace absent/a.json", "argument --trace: cannot write absent/a.json"),
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
        (DIGITS, "--alpha -0.1", "argument --alpha: must be a number from 0 to 1e+30, got '-0.1'"),
        (DIGITS, "--alpha nan", "argument --alpha: must be a number from 0 to 1e+30, got 'nan'"),
        (DIGITS, "--alpha 1e308", "argument --alpha: must be a number from 0 to 1e+30, got '1e308'"),
        (DIGITS, "--hidden 0", "argument --hidden: must be at least 1, got 0"),
        (DIGITS, "--out absent/a.json", "argument --out: cannot write absent/a.json"),
    ],
)
def test_sizes(tmp_path, monkeypatch, script, arguments, message):
    """--repeats 1 and sizes of 0 were tracebacks; --epochs 0 printed a table."""
    monkeypatch.setenv("CXX", "no-compiler")
    (tmp_path / "text").touch()
    script, *defaults = script.split()
    arguments = changed(defaults, arguments.split())
    if message == "not enough memory":
        result = call_here(script, *arguments)
        assert_one_line(result, message)
    else:
        assert_refused(script, arguments, message, tmp_path)
