"""Scores against the command lines of sacreBLEU and fairseq."""

import json
import re

import pytest
from bad_input import call_here
from conftest import run, sentences
from fairseq_cli import score as fairseq_score

from rdrop_tools.scoring.score_translation import split_compounds
from rdrop_tools.scoring.unspaced import is_unspaced, sacrebleu_tokenizer


def write(folder, **texts):
    """NAME.txt, and its tokens in NAME.tok."""
    for name, lines in texts.items():
        text = "".join(f"{line}\n" for line in lines)
        (folder / f"{name}.txt").write_text(text)
        (folder / f"{name}.tok").write_text(text.replace(",", " ,").replace("hill.", "hill ."))
    return folder


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """{hyp,base,ref}.{txt,tok}: other sentences of the language, half of them right."""
    reference = [pair[1] for pair in sentences(60, seed=1)]
    reference[3] = "A well-known, rich-text-based Format is - on the hill."
    pairs = list(enumerate(zip(reference, (pair[1] for pair in sentences(60, seed=2)), strict=True)))
    hyp = [right if n % 2 else other for n, (right, other) in pairs]
    hyp[3] = "A well-known, plain-text format is on the hill."
    base = [other if n % 3 else right for n, (right, other) in pairs]
    return write(tmp_path_factory.mktemp("scoring"), ref=reference, hyp=hyp, base=base)


def score(folder, *arguments, check=True):
    files = ["--hyp", folder / "hyp.txt", "--hyp-tok", folder / "hyp.tok"]
    files += ["--ref", folder / "ref.txt", "--ref-tok", folder / "ref.tok"]
    out = folder / "scores.json"
    result = call_here("score_translation", *files, *arguments, "--json", out)
    assert not check or result.code == 0, result.err
    return result.out + result.err, json.loads(out.read_text())["scores"] if check else None


@pytest.mark.parametrize("case", [[], ["--lowercase"]])
def test_scores_are_those_of_the_command_line(texts, case):
    table, scores = score(texts, *case)
    lower = ["-lc", "--chrf-lowercase"] if case else []
    tokenised = ["-m", "bleu", "-tok", "none", "--smooth-method", "none", "--force"]
    expected = []
    for kind, options in (("tok", tokenised), ("txt", ["-m", "bleu", "chrf", "ter"])):
        command = ["sacrebleu", texts / f"ref.{kind}", "-i", texts / f"hyp.{kind}", "-w", "15"]
        found = json.loads(run(*command, *options, *lower, stderr=None).stdout)
        expected += found if isinstance(found, list) else [found]
    names = ["BLEU, tokenised", "BLEU, sacreBLEU", "chrF2, sacreBLEU", "TER, sacreBLEU"]
    assert [s["name"] for s in scores] == names
    assert [s["signature"] for s in scores] == [e["signature"] for e in expected]
    assert [round(s["score"], 15) for s in scores] == [e["score"] for e in expected]
    for name, theirs in zip(names, expected, strict=True):
        assert f"{theirs['score']:6.2f}" in next(line for line in table.splitlines() if name in line)
        assert theirs["signature"] in table


def test_compounds_are_split_at_the_dashes_that_moses_has_split():
    assert split_compounds("a well @-@ known thing - so") == "a well ##AT##-##AT## known thing - so"


def test_tokenised_rows_are_those_of_fairseq(texts, tmp_path, monkeypatch, capsys):
    """The rows are those of fairseq-score on the tokens, and after compound_split_bleu.sh as in the paper."""
    split = r"s{(\S)-(\S)}{$1 ##AT##-##AT## $2}g"  # of that script
    for name in ("hyp", "ref"):
        (tmp_path / f"{name}.tok").write_text(run("perl", "-ple", split, texts / f"{name}.tok").stdout)
    _, scores = score(texts, "--split-compounds", "both")
    for row, folder in ((0, texts), (1, tmp_path)):
        files = ["--sys", f"{folder}/hyp.tok", "--ref", f"{folder}/ref.tok"]
        monkeypatch.setattr("sys.argv", ["fairseq-score", *files])
        fairseq_score.cli_main()
        assert f"BLEU4 = {scores[row]['score']:.2f}," in capsys.readouterr().out
    assert [row["name"] for row in scores[:2]] == ["BLEU, tokenised", "BLEU, tokenised, compounds split"]
    assert scores[0]["score"] != scores[1]["score"]
    for choice, row in (["no"], 0), (["yes"], 1), ([], 1):
        assert score(texts, "--split-compounds", *choice)[1] == [scores[row], *scores[2:]]


def test_significance_is_that_of_the_command_line(texts):
    baseline = ["--baseline", texts / "base.txt", texts / "base.tok"]
    _, scores = score(texts, "--samples", "200", *baseline)
    systems = [texts / "base.txt", texts / "hyp.txt"]
    options = ["-m", "bleu", "chrf", "ter", "--paired-bs", "--paired-bs-n", "200", "-w", "4", "-f", "text"]
    result = run("sacrebleu", texts / "ref.txt", "-i", *systems, *options)
    figures = [float(figure) for figure in re.findall(r"(\d+\.\d+) \(\d", result.stdout)]
    assert figures == [round(s[name], 4) for name in ("baseline", "score") for s in scores[1:]]
    p_values = [float(value) for value in re.findall(r"\(p = (\d\.\d+)\)", result.stdout)]
    assert p_values == [round(s["p_value"], 4) for s in scores[1:]]
    assert 0 < scores[0]["p_value"] < 0.05
    # Regression: sacreBLEU's own p-value of two identical outputs, 1 / (samples + 1), is "significant".
    _, same = score(texts, "--samples", "20", "--baseline", texts / "hyp.txt", texts / "hyp.tok")
    assert [(s["p_value"], s["score"] - s["baseline"]) for s in same] == [(1, 0)] * 4


def test_several_references_score_as_on_the_command_line(texts):
    """Regression: with --ref A --ref B, B alone was scored against."""
    more = ["--ref", texts / "base.txt", "--ref-tok", texts / "base.tok"]
    scores = score(texts, *more)[1]
    command = ["sacrebleu", texts / "ref.txt", texts / "base.txt", "-i", texts / "hyp.txt", "-w", "15"]
    expected = json.loads(run(*command, "-m", "bleu", "chrf", "ter", stderr=None).stdout)
    assert [round(score["score"], 15) for score in scores[1:]] == [e["score"] for e in expected]
    assert all("nrefs:2" in score["signature"] for score in scores)
    assert scores[0]["score"] > score(texts)[1][0]["score"]


THAI = "วันนี้อากาศดีมาก เราจะไปเดินเล่นที่สวนสาธารณะ"
CHINESE = ["我喜欢吃苹果。", "他昨天去了北京。", "天气很好。", "这是一本书。"]


def test_scripts_without_spaces_need_a_tokeniser(tmp_path):
    """Regression: three right Chinese lines of four had BLEU 0.00, as the default tokeniser has one word."""
    write(tmp_path, ref=CHINESE, hyp=[*CHINESE[:3], "那是两本书。"])
    message, _ = score(tmp_path, check=False)
    assert message == (
        f"error: {tmp_path / 'ref.txt'} has hardly a space, and the default tokeniser takes a sentence for a "
        "word: choose --tokenize zh or, to take it so, --tokenize 13a\n"
    )
    rows = {row["name"]: row for row in score(tmp_path, "--tokenize", "zh")[1]}
    assert rows["BLEU, sacreBLEU"]["score"] > 80
    assert "norm:yes|punct:yes|asian:yes" in rows["TER, sacreBLEU"]["signature"]
    assert rows["TER, sacreBLEU"]["score"] < 20
    assert score(tmp_path, "--tokenize", "13a")[1][1]["score"] == 0


def test_what_would_count_clauses_as_words_is_refused_or_left_out(tmp_path):
    """Regression: Thai with a space between clauses was scored by clauses, in silence; so was its TER, and,
    with the advice to take zh, which knows no Thai, its BLEU.
    """
    write(tmp_path, ref=[THAI] * 4, hyp=[THAI] * 4)
    for wanted in ([], ["--tokenize", "zh"]):
        message, _ = score(tmp_path, *wanted, check=False)
        assert "takes a sentence for a word: choose --tokenize char or" in message
    table, scores = score(tmp_path, "--tokenize", "char")
    assert "TER is left out: it would take whole clauses of the reference for words\n" in table
    assert [row["name"] for row in scores] == ["BLEU, tokenised", "BLEU, sacreBLEU", "chrF2, sacreBLEU"]


SCRIPTS = [  # a text, sacreBLEU's tokeniser for it, whether it has hardly a space
    ("我喜欢吃苹果。", "zh", True),
    ("我 喜 欢 吃 苹 果 。", "zh", False),
    ("".join(["他喜欢の字。", *CHINESE * 5]), "zh", True),
    ("请在 Python 3.11 中运行 pip install 命令，然后重新启动 Jupyter 服务器。", "zh", True),  # noqa: RUF001
    ("今日は天気がいいです。", "ja-mecab", True),
    ("오늘은 날씨가 좋습니다.", "ko-mecab", False),
    (THAI, "char", True),
    ("วันนี้ อากาศ ดี มาก เรา จะ ไป เดินเล่น ที่ สวนสาธารณะ", "char", False),
    ("ကျွန်တော် မနက်ဖြန် ရန်ကုန်ကို သွားမယ်။", None, True),  # a space between phrases
    ("He said 你好 and left.", "13a", False),
    ("मैं घर जा रहा हूँ। من کتاب می‌خوانم.", "13a", False),
    ("", "13a", False),
]


def test_the_script_of_a_text():
    """Regression: by the language's code alone, jp had the tokeniser of English and BLEU 0.00, in silence.

    A few lines may be a word each.
    """
    for text, tokenizer, unspaced in SCRIPTS:
        assert sacrebleu_tokenizer([text] * 4) == tokenizer, text
        assert is_unspaced([text] * 4) == unspaced, text
        assert not is_unspaced([text] * 3)
