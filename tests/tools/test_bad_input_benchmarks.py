"""Bad input to the benchmarks: a table, a row a kind. Types of arguments are in test_arguments.py."""

import pytest
from bad_input import assert_one_line, assert_refused, call_here

pytest.importorskip("fairseq")

NO_COMPILER = "torch.compile needs a C++ compiler: no-compiler is not there"
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
    """Regression: rows of two widths were drawn as one curve; a time of 0 was a division by it."""
    text = "".join(f"{line}\n" for line in lines)
    (tmp_path / "rows.csv").write_text(text, encoding="utf-8", errors="surrogateescape")
    assert_refused("plot_benchmark", ["rows.csv", "--tokens", "20"], message, tmp_path)


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("plot_benchmark", "rows.csv -o rows.csv", "rows.csv must end in .png"),
        ("benchmark_loss", "--compile --tokens 4 --vocab 9 --dim 4", NO_COMPILER),
        ("benchmark_step", "--dim 130 --settings small", "--dim 130 is no multiple of --heads 4"),
        ("benchmark_step", "--dtype fp16", "--dtype fp16 needs a GPU"),
        ("benchmark_step", "--compile", NO_COMPILER),
        ("profile_step", "--dtype fp16", "--dtype fp16 needs a GPU"),
        ("benchmark_variants", "", NO_COMPILER),
    ],
)
def test_what_does_not_go_together(tmp_path, monkeypatch, script, arguments, message):
    monkeypatch.setenv("CXX", "no-compiler")
    (tmp_path / "rows.csv").write_text(f"{COLUMNS}\n{ROW}\n")
    device = [] if script == "plot_benchmark" else ["--device", "cpu"]
    assert_refused(script, [*arguments.split(), *device], message, tmp_path)


@pytest.mark.parametrize("sizes", ["--vocab 900000000000000 --dim 4", "--vocab 9 --dim 9000000000000000000"])
def test_sizes_that_no_memory_holds(sizes):
    arguments = f"--device cpu --repeats 1 --tokens 4 {sizes}".split()
    assert_one_line(call_here("benchmark_loss", *arguments), "not enough memory")
