"""Fine-tuning of a Hugging Face model by the script. Nothing is downloaded."""

import json

import pytest
from bad_input import assert_refused, call_here

pytest.importorskip("transformers", reason="needs pip install '.[huggingface]'")

import transformers
from huggingface_models import TUNE
from own_corpora import write_lines

from examples.huggingface.fine_tune import make_up_pairs


def test_fine_tuning_by_the_script(tmp_path):
    """fine_tune.py learns from files: the loss falls, and the model is saved with its tokenizer."""
    folder, out = tmp_path / "text", tmp_path / "out"
    for split, count in (("train", 64), ("valid", 9)):
        write_lines(folder, split, ("iso", "long"), make_up_pairs(count, len(split)))
    arguments = f"{folder} --source iso --target long --out {out} --epochs 4 --batch 16 --lr 0.01".split()
    result = call_here(TUNE, *arguments)
    assert result.code == 0, result.err
    (state,) = out.glob("checkpoint-*/trainer_state.json")
    log = json.loads(state.read_text())["log_history"]
    for key in ("loss", "eval_loss"):
        values = [record[key] for record in log if key in record]
        assert len(values) == 4
        assert values[-1] < 0.9 * values[0]
    assert all(record["eval_chrf"] >= 0 for record in log if "eval_loss" in record)
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(out)
    tokenizer = transformers.AutoTokenizer.from_pretrained(out)
    assert tokenizer("2026-11-27")["input_ids"][-1] == model.config.decoder_start_token_id == 2
    assert tokenizer.decode(tokenizer("2026-11-27")["input_ids"], skip_special_tokens=True) == "2026-11-27"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("text --out new", "text/train.source is empty"),
        ("--out text", "--out text is not empty: name a new folder"),
    ],
)
def test_what_the_script_refuses(tmp_path, arguments, message):
    (tmp_path / "text").mkdir()
    for side in ("source", "target"):
        (tmp_path / "text" / f"train.{side}").touch()
    assert_refused(TUNE, arguments.split(), message, tmp_path)
