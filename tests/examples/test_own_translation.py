"""A corpus of one's own to a model, a score and a translation, by the scripts of examples/translation."""

import json
import re
from importlib.util import find_spec

import pytest
from conftest import files, kill_when, run, sentences
from own_corpora import LANGS, english_japanese, write_csv, write_lines
from shell_scripts import assert_fails, command
from translation_data import TRANSLATION, environment, translate

from rdrop_tools.lines import read_lines

pytest.importorskip("fairseq")

SCRIPTS = {"jp": "今日は天気がいいです。", "km": "ថ្ងៃនេះអាកាសធាតុល្អ។", "fa": "من کتاب می‌خوانم."}
# The recipe's model would take minutes. No buffer: see TINY.
SMALL = (
    "--encoder-layers 1 --decoder-layers 1 --encoder-embed-dim 64 --decoder-embed-dim 64 "
    "--encoder-ffn-embed-dim 64 --decoder-ffn-embed-dim 64 --lr 0.01 --warmup-updates 20 "
    "--num-workers 0 --data-buffer-size 0 --log-interval 20"
).split()


@pytest.fixture(scope="module")
def env():
    return {**environment(), "MIN_FREE_MB": "1", "WORKERS": "1"}


def script(name, *arguments, **options):
    return run(TRANSLATION / f"{name}.sh", *arguments, **options)


@pytest.mark.slow
def test_two_files_of_lines(env, tmp_path):
    """A corpus of 200 pairs goes from text to translations; a killed prepare-text.sh goes on."""
    pairs = sentences(200, seed=1)
    write_lines(tmp_path / "mine", "train", ("de", "en"), pairs)
    data, trained = tmp_path / "data", tmp_path / "trained"
    prepare = ("prepare-text", "mine.de-en", tmp_path / "mine")
    kill_when(data / "corpus", TRANSLATION / "prepare-text.sh", *prepare[1:], **env, OUT=str(data))
    script(*prepare, **env, OUT=str(data))
    finished = files(data)
    assert not list(data.glob("*.part"))
    assert len(read_lines(data / "corpus" / "raw" / "valid.en")) == 20
    script(*prepare, **env, OUT=str(data))
    assert files(data) == finished
    write_lines(tmp_path / "mine", "train", ("de", "en"), [*pairs, ("mehr", "more")])
    changed = script(*prepare, **env, OUT=str(data), check=False)
    assert f"{data} was made with other settings (TEXT_SHA256=" in changed.stdout
    assert files(data) == finished

    env = {**env, "DATA": str(data)}
    training = {**env, "OUT": str(trained), "CRITERION": "plain", "MAX_UPDATE": "120"}
    out = script("train", "mine.de-en", *SMALL, **training).stdout
    log = (trained / "train.log").read_text()
    count = len(read_lines(data / "corpus" / "raw" / "train.de"))
    for text in (out, log):
        assert f"{count} training pairs: a small transformer (3+3 layers, 256 wide), as for Multi30k" in text
        assert "chosen by BLEU on pieces" not in text
        assert "alpha" not in text.split("INFO")[0]
    assert re.search(r"best on valid, after \d+ updates: BLEU [\d.]+, nll [\d.]+ on valid, [\d.]+ on", out)
    assert "R-Drop brought +1.82 BLEU on valid; Multi30k en-de: 10,000 pairs" in out
    assert "As the finish of a plain training it brought +1.33 BLEU on valid over one without it" in out

    out = script("evaluate", trained, **env).stdout
    assert f"translating valid with {trained} (best:1, --beam 5 --lenpen 1.0)" in out
    assert "averaged: checkpoint_best.pt" in out
    scores = json.loads((trained / "evaluation.valid" / "scores.json").read_text())["scores"]
    assert [score["name"] for score in scores] == [f"{m}, sacreBLEU" for m in ("BLEU", "chrF2", "TER")]
    assert scores[0]["score"] > 50
    assert scores[0]["p_value"] is None
    assert "tok:13a" in scores[0]["signature"]

    # What is translated as text is what was translated as data; a line that is none, or too long, is empty.
    raw, long = (data / "corpus" / "raw" / "valid.de").read_text(), "der hund " * 700
    translated, errors = translate(tmp_path, f"{raw}\n{long}\n \nder hund", trained, **env)
    assert translated[:20] == read_lines(trained / "evaluation.valid" / "system" / "hyp.txt")
    assert [bool(line) for line in translated[20:]] == [False, False, False, True]
    assert errors.splitlines()[-2:] == [
        "2 of 24 lines are empty: their translations are empty",
        "1 of 24 lines are longer than the 1024 pieces that the model takes: their translations are empty",
    ]
    assert "hydra" not in errors


@pytest.mark.slow
def test_japanese_from_a_table(env, tmp_path):
    """Regression: words of Japanese were whole lines, and BLEU was 0 in every validation.

    Each language has a vocabulary of its own, and the test set an empty line.
    """
    (tmp_path / "mine").mkdir()
    tests = [*english_japanese(12, seed=12), ("", "無い。")]
    for split, pairs in (("train", english_japanese(200, seed=200)), ("test", tests)):
        write_csv(tmp_path / "mine" / f"{split}.csv", LANGS, pairs)
    data, trained = tmp_path / "data", tmp_path / "trained"
    script("prepare-text", "mine.en-ja", tmp_path / "mine", **env, OUT=str(data), SEPARATE="1", MERGES="60")
    for lang in LANGS:
        assert (data / "pieces" / f"sentencepiece.{lang}.model").stat().st_size
    dictionaries = [(data / "data-bin" / f"dict.{lang}.txt").read_text(encoding="utf-8") for lang in LANGS]
    assert "を" not in dictionaries[0]
    assert "house" not in dictionaries[1]
    assert not [line for line in read_lines(data / "corpus" / "raw" / "test.ja") if " " in line]

    training = {**env, "DATA": str(data), "OUT": str(trained), "MAX_UPDATE": "150"}
    out = script("train", "mine.en-ja", *SMALL, **training).stdout
    for text in (out, (trained / "train.log").read_text()):
        assert "checkpoints are chosen by BLEU on pieces, not on words: words of ja" in text
        assert "alpha 1; measured were 1 at 10,000 and 29,000 pairs" in text
    assert float(re.findall(r"best_bleu ([\d.]+)", out)[-1]) > 10
    assert "R-Drop brought" not in out

    out = script("evaluate", trained, **env).stdout
    has_mecab = find_spec("MeCab") and find_spec("ipadic")
    assert ("-m pip install 'sacrebleu[ja]'" in out) == (not has_mecab)
    scores = json.loads((trained / "evaluation.test" / "scores.json").read_text())["scores"]
    assert ("tok:ja-mecab" if has_mecab else "tok:char") in scores[0]["signature"]
    assert "asian:yes" in scores[2]["signature"]
    assert scores[0]["score"] > 10
    assert len(read_lines(trained / "evaluation.test" / "system" / "hyp.txt")) == 13


def test_moses_tokens_and_codes_for_each_language(env, tmp_path):
    """BPE=subword-nmt learns codes for each language, and keeps an empty line of the test set."""
    # Text that is in tokens already, Moses would not give back.
    pairs = [tuple(side.replace(" .", ".") for side in pair) for pair in sentences(120, seed=1)]
    write_lines(tmp_path / "mine", "train", ("de", "en"), pairs, compressed=True)
    write_lines(tmp_path / "mine", "test", ("de", "en"), [*sentences(3, seed=2), ("", "Nothing.")])
    settings = {"OUT": str(tmp_path / "data"), "BPE": "subword-nmt", "SEPARATE": "1", "MERGES": "40"}
    script("prepare-text", "mine.de-en", tmp_path / "mine", **env, **settings)
    pieces = tmp_path / "data" / "pieces"
    codes = [read_lines(pieces / f"codes.{lang}") for lang in ("de", "en")]
    assert codes[0] != codes[1]
    for lang in ("de", "en"):
        undone = [line.replace("@@ ", "") for line in read_lines(pieces / f"test.{lang}")]
        assert undone == read_lines(tmp_path / "data" / "corpus" / "tok" / f"test.{lang}")
    assert (tmp_path / "data" / "data-bin" / "test.de-en.en.bin").stat().st_size


@pytest.mark.parametrize(
    ("arguments", "change", "message"),
    [
        ("multi30k.en-de in", {}, "the name multi30k is a benchmark's"),
        ("mine.en-pt-BR in", {}, "with codes of the languages (pt_BR, not pt-BR), got mine.en-pt-BR"),
        ("mine.en-ja", {}, "expected a name, such as mine.en-ja, and a folder, got: mine.en-ja"),
        ("mine.en-en in", {}, "the languages of mine.en-en must be two, got en twice"),
        ("mine.en-ja absent", {}, "absent is not there: name a folder with train.en and train.ja"),
        ("mine.en-jp in", {"BPE": "subword-nmt"}, "BPE: subword-nmt needs spaces between the words of jp"),
        ("mine.en-km in", {}, "TOKENIZE: sacreBLEU has no tokeniser for km, which is written without spaces"),
        ("mine.en-fa in", {"BPE": "subword-nmt"}, "Moses' tokens of fa do not give back the text of 3 of 3"),
        ("mine.en-ja in", {}, "in has train.en: expected train.en and train.ja, or one table train"),
    ],
)
def test_refused_before_anything_is_written(env, tmp_path, arguments, change, message):
    for lang, text in {"en": "a", **SCRIPTS}.items():
        write_lines(tmp_path / "in", "train", [lang], [(text,)] * 3)
    command = ("env", "-C", tmp_path, TRANSLATION / "prepare-text.sh", *arguments.split())
    assert_fails(message, *command, **{**env, "OUT": "out", **change})
    assert not (tmp_path / "out").exists()


def test_translate_refuses_in_one_line(env, tmp_path):
    (_, trained), _ = command("translation/evaluate", tmp_path)
    translate = TRANSLATION / "translate.sh"
    assert_fails("is not the output of train.sh", translate, tmp_path, **env)
    assert_fails("/absent/data-bin is not there: run", translate, trained, **env, DATA="/absent")
