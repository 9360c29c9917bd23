"""rdrop_tools/scoring/score_rouge.py against the rouge-score library."""

import json

import numpy as np
import pytest
from bad_input import call_here

pytest.importorskip("rouge_score")
from rouge_score import rouge_scorer

from rdrop_tools.scoring.score_rouge import METRICS, UnicodeTokenizer, bootstrap, split_sentences

REFERENCES = [
    "Anna walks the dog. Bob stays at home.",
    "The meeting was moved to Friday! Nobody objected.",
    "Zoë bakes cakes for 12 children.",
    "They agree.",
]
SYSTEM = [
    "Bob stays home. Anna is walking her dogs.",
    "",
    "Zoë baked a cake for the children.",
    "They agree.",
]
BASELINE = ["Bob.", "Friday.", "A cake. For children.", "They disagree, or agree?"]


def write(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def score(folder, *options, reference=REFERENCES, system=SYSTEM):
    """The result; or the message where there is none."""
    files = write(folder / "reference", reference), write(folder / "system", system)
    result = call_here("score_rouge", *files, "--json", folder / "rouge.json", *options)
    return result.err if result.code else json.loads((folder / "rouge.json").read_text())


@pytest.mark.parametrize("options", [[], ["--sentences", "none", "--no-stemmer"]])
def test_equals_rouge_score(tmp_path, options):
    ours = score(tmp_path, *options)["system"]
    assert ours["empty"] == 1
    theirs = rouge_scorer.RougeScorer(list(METRICS), use_stemmer=not options)
    texts = [REFERENCES, SYSTEM]
    if not options:  # what the caller of rouge-score has to do for ROUGE-Lsum
        texts = [[t.replace(". ", ".\n").replace("! ", "!\n") for t in x] for x in texts]
    scores = [theirs.score(reference, system) for reference, system in zip(*texts, strict=True)]
    for metric in METRICS:
        for name, key in (("precision", "precision"), ("recall", "recall"), ("f", "fmeasure")):
            expected = 100 * np.mean([getattr(s[metric], key) for s in scores])
            assert ours[metric][name] == pytest.approx(expected, abs=0.0051), (metric, name)


def test_intervals_and_comparison(tmp_path):
    options = ["--baseline", write(tmp_path / "baseline", BASELINE), "--seed", "3"]
    result = score(tmp_path, *options)
    assert result["signature"].startswith("rouge-score 0.1")
    assert result["signature"].endswith("|stem:yes|sentences:punctuation|n:4|bootstrap:1000|seed:3")
    for metric in METRICS:
        system, baseline, difference = (result[name][metric] for name in ("system", "baseline", "difference"))
        assert difference["f"] == pytest.approx(system["f"] - baseline["f"], abs=0.011)
        for value in (system, difference):
            assert value["f_95"][0] <= value["f"] <= value["f_95"][1]
        assert 0 < difference["p"] <= 1
    same = score(tmp_path, "--baseline", tmp_path / "system")["difference"]["rouge1"]
    assert same == {"f": 0.0, "f_95": [0.0, 0.0], "p": 1.0}
    table = call_here("score_rouge", tmp_path / "reference", tmp_path / "system", *options).out.splitlines()
    assert [line.split()[0] for line in table] == ["ROUGE-1", "system:", "baseline:", "difference", "p", "F,"]
    assert table[3].split()[1] == f"{result['difference']['rouge1']['f']:+.2f}"
    assert table[-1] == f"F, 95% intervals; {result['signature']}"


def test_the_interval_is_as_wide_as_the_standard_error_says():
    values = np.random.default_rng(0).normal(30, 10, size=(400, 1))
    means = bootstrap(values, 2000, seed=1)
    assert means.std() == pytest.approx(values.std() / 20, rel=0.1)
    assert means.mean() == pytest.approx(values.mean(), abs=0.1)


@pytest.mark.parametrize("text", ["Собака спит. Кошка сидит дома.", "狗在睡觉。猫在家里！"])  # noqa: RUF001
def test_identical_texts_score_100_in_any_script(tmp_path, text):
    """Regression: rouge-score's tokeniser keeps a-z and 0-9, and identical Russian texts scored 0.00."""
    assert "choose --tokenizer unicode" in score(tmp_path, reference=[text], system=[text])
    result = score(tmp_path, "--tokenizer", "unicode", reference=[text], system=[text])
    assert [result["system"][metric]["f"] for metric in METRICS] == [100] * 4
    assert "|tok:unicode|stem:no|" in result["signature"]
    part = score(tmp_path, "--tokenizer", "unicode", reference=[text], system=[text[:-5]])["system"]
    assert all(0 < part[metric]["f"] < 100 for metric in METRICS)


def test_words_of_any_script():
    tokenize = UnicodeTokenizer().tokenize
    assert tokenize("Für die 2. Größe: it's x_y!") == ["für", "die", "2", "grösse", "it", "s", "x", "y"]
    assert tokenize("cafe\u0301 CAFÉ") == ["café", "café"]
    assert tokenize("हिन्दी में") == ["हिन्दी", "में"]
    assert tokenize("GPT模型2個です。ไทย") == ["gpt", "模", "型", "2", "個", "で", "す", "ไ", "ท", "ย"]
    assert tokenize("ที่ นั่น") == ["ที่", "นั่", "น"]


def test_sentences_of_other_scripts():
    """Regression: ROUGE-Lsum took a text without Latin full stops for one sentence."""
    for text, count in (("狗在睡觉。猫在家里！", 3), ("कुत्ता सो है। बिल्ली है।", 2), ("A 3.5 b. C? D!", 3)):  # noqa: RUF001
        assert len(split_sentences(text, "unicode").split("\n")) == count
    assert split_sentences("狗。猫。") == "狗。猫。"


def test_text_that_is_not_english_needs_a_choice(tmp_path):
    german = {"reference": ["Für den Hund."], "system": ["Fur den Hund."]}
    assert "reference: 10.0% of the letters are none of a-z" in score(tmp_path, **german)
    assert score(tmp_path, "--tokenizer", "rouge-score", **german)["system"]["rouge1"]["f"] < 100
