"""examples/translation/train.sh and evaluate.sh on a small Multi30k; the same recipes for hydra."""

import json
from pathlib import Path

import pytest
import torch
from conftest import files, lengthen_last_line, run
from translation_data import MULTI30K_SETTINGS, TINY, TRANSLATION, environment, translate, write_multi30k

pytest.importorskip("fairseq")

NAME = "multi30k.en-fr"
DECODED = {"SUBSET": "test3", "AVERAGE": "last:2", "DECODING": "--beam 2"}


@pytest.fixture(scope="module")
def env(tmp_path_factory):
    folder = tmp_path_factory.mktemp("multi30k")
    local = write_multi30k(folder / "local")
    lengthen_last_line(*(local / f"{text}.gz" for text in ("train.fr", "val.fr", "test_2018_flickr.en")))
    env = {**environment(), **MULTI30K_SETTINGS, "LOCAL_FILES": str(local)}
    run(TRANSLATION / "prepare-multi30k.sh", "en-fr", **env, OUT=str(folder / "data"))
    return {**environment(), "DATA": str(folder / "data")}


def train(*flags, check=True, **env):
    return run(TRANSLATION / "train.sh", NAME, *TINY, *flags, check=check, **env)


def evaluate(*folders, check=True, **env):
    return run(TRANSLATION / "evaluate.sh", *folders, check=check, **env)


@pytest.fixture(scope="module")
def trained(env, tmp_path_factory):
    """{criterion: folder} after 2 epochs"""
    folders = {criterion: tmp_path_factory.mktemp("trained") / criterion for criterion in ("plain", "rdrop")}
    for criterion, folder in folders.items():
        result = train("--max-epoch", "2", **env, CRITERION=criterion, OUT=str(folder))
        assert "valid on 'valid' subset" in result.stdout
    return folders


@pytest.mark.slow
@pytest.mark.parametrize("criterion", ["plain", "rdrop"])
def test_both_criterions_train(trained, criterion):
    """Regression: a pair too long for the model ended the training in its first validation.

    Of the 11 pairs of valid that the model takes, fairseq's default, multiples of 8, saw 8.
    """
    log = (trained[criterion] / "train.log").read_text()
    assert ("rdrop_kl_loss" in log) == (criterion == "rdrop")
    assert log.count("1 samples have invalid sizes and will be skipped") >= 2
    validations = [line for line in log.splitlines() if "| valid | " in line]
    assert ["| bsz 11 |" in line for line in validations] == [True, True]  # they are one batch
    assert all((trained[criterion] / f"checkpoint{n}.pt").exists() for n in (1, 2))


@pytest.mark.slow
def test_empty_outputs_are_bleu_0(env, tmp_path):
    """Regression: where all outputs were empty, the host ended in KeyError: 'bleu', with no checkpoint."""
    lengths = '{"beam": 1, "max_len_a": 0, "max_len_b": 0, "min_len": 0}'
    result = train("--eval-bleu-args", lengths, **env, OUT=str(tmp_path / "out"), MAX_UPDATE="2")
    assert "best on valid, after 2 updates: BLEU 0.00" in result.stdout
    assert (tmp_path / "out" / "checkpoint_best.pt").exists()


@pytest.mark.slow
def test_a_rerun_does_nothing_and_takes_no_other_alpha(env, trained):
    folder = trained["rdrop"]
    before = files(folder)
    train("--max-epoch", "2", **env, OUT=str(folder))
    assert files(folder) == before
    result = train("--max-epoch", "2", **env, OUT=str(folder), ALPHA="2", check=False)
    assert result.returncode == 1
    assert f"{folder} was made with other settings (ALPHA=1)" in result.stdout


@pytest.fixture(scope="module")
def evaluated(env, trained):
    """(folder, output) of an evaluation of R-Drop against plain training, in a folder with other files."""
    out = trained["rdrop"] / "evaluation.test3"
    (out / "part" / "left over").mkdir(parents=True)
    (out / "baseline").mkdir()
    (out / "settings").write_text("KIND=translation-evaluation\n")
    (out / "mine").write_text("mine")
    return out, evaluate(trained["rdrop"], trained["plain"], **env, **DECODED).stdout


@pytest.mark.slow
def test_evaluation_of_two_systems(trained, evaluated):
    out, said = evaluated
    assert [path.name for path in out.rglob("left*")] == []
    assert (out / "mine").read_text() == "mine"
    scores = json.loads((out / "scores.json").read_text())["scores"]
    names = ["BLEU, tokenised", *(f"{metric}, sacreBLEU" for metric in ("BLEU", "chrF2", "TER"))]
    assert [score["name"] for score in scores] == names
    for score in scores:
        assert 0 <= score["p_value"] <= 1
        assert score["signature"] in said
        assert f"{score['score']:6.2f}   {score['baseline']:8.2f}    {score['p_value']:.4f}" in said
    for name in ("system", "baseline"):
        hypotheses = (out / name / "hyp.txt").read_text().splitlines()
        assert [bool(line) for line in hypotheses] == [*[True] * 5, False]
        assert "beam=2" in (out / name / "generate.log").read_text().replace("'beam': 2", "beam=2")
    assert said.count("1 of 6 sentences are too long for the model: their lines are empty") == 2
    models = [torch.load(trained["rdrop"] / f"checkpoint{n}.pt")["model"] for n in (1, 2)]
    for name, mean in torch.load(out / "system" / "averaged.pt")["model"].items():
        torch.testing.assert_close(mean, (models[0][name] + models[1][name]) / 2)
    assert not list(trained["rdrop"].glob("*.part"))


@pytest.mark.slow
def test_text_is_translated_as_the_test_set_is(env, trained, evaluated, tmp_path):
    """translate.sh, with Moses' tokens and BPE, gives text for text; a line that is too long is empty."""
    text = (Path(env["DATA"]) / "corpus" / "raw" / "test3.en").read_text()
    translated, errors = translate(tmp_path, text, trained["rdrop"], **env, **DECODED)
    assert translated == (evaluated[0] / "system" / "hyp.txt").read_text().splitlines()
    message = (
        "1 of 6 lines are longer than the 1024 pieces that the model takes: their translations are empty"
    )
    assert errors.splitlines()[-1] == message


@pytest.mark.parametrize("benchmark", ["iwslt14", "wmt14", "multi30k"])
def test_yaml_has_the_recipe(benchmark):
    from fairseq import options
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf
    from omegaconf import OmegaConf

    yaml = OmegaConf.load(TRANSLATION / "config" / f"{benchmark}.yaml")
    source, target = yaml.task.source_lang, yaml.task.target_lang
    script = """TGT=$1; source "$0"; recipe "$2"
        printf '%s\\n' "${ARCHITECTURE[@]}" "${SCHEDULER[@]}" "${OPTIMIZER[@]}" "${TRAINING[@]}" \\
        --max-tokens $DEFAULT_MAX_TOKENS --max-update $DEFAULT_MAX_UPDATE --rdrop-alpha $DEFAULT_ALPHA \\
        --update-freq $((TOKENS_PER_UPDATE / DEFAULT_MAX_TOKENS)) \\
        --eval-bleu-args "{\\"beam\\": $VALIDATION_BEAM, \\"max_len_a\\": 1.2, \\"max_len_b\\": 10}\""""
    flags = run("bash", "-euc", script, TRANSLATION / "recipes.sh", target, benchmark).stdout.splitlines()
    shared = """--eval-bleu --eval-bleu-detok moses --eval-bleu-remove-bpe --best-checkpoint-metric bleu
        --maximize-best-checkpoint-metric --log-format simple --log-interval 100
        --criterion label_smoothed_cross_entropy_rdrop --task translation --seed 1"""
    arguments = ["data", *shared.split(), *flags, "-s", source, "-t", target]
    args = options.parse_args_and_arch(options.get_training_parser(), arguments)
    cfg = convert_namespace_to_omegaconf(args)
    yaml.task.data = "data"
    model = yaml.model.pop("_name")
    assert model == getattr(cfg.model, "arch", None) or model == cfg.model._name
    for group, values in yaml.items():
        for name, value in values.items():
            assert getattr(cfg[group], name) == value, f"{group}.{name}"


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("wmt16.en-de", {"DATA": ""}, "data/wmt16.en-de/data-bin is not there: run prepare-text.sh first"),
        ("multi30k", {}, "the benchmark must look like iwslt14.de-en, with codes"),
        ("iwslt14.de-en", {}, "is not of iwslt14"),
        (NAME, {"MAX_TOKENS": "3000"}, "must divide the 1024 tokens of an update"),
        (NAME, {"NODES": "2"}, "MASTER must be HOST:PORT of the first machine for NODES=2"),
    ],
)
def test_bad_settings(env, tmp_path, name, change, message):
    out = tmp_path / "out"
    result = run(TRANSLATION / "train.sh", name, check=False, **{**env, "OUT": str(out), **change})
    assert result.returncode == 1
    assert message in result.stdout.strip().splitlines()[-1]
    assert not out.exists()


@pytest.mark.slow
def test_bad_evaluations(env, trained, tmp_path):
    def fails(message, *folders, **change):
        result = evaluate(*folders, **{**env, **change}, check=False)
        assert result.returncode == 1
        assert message in result.stdout.strip().splitlines()[-1]

    fails("is not the output of train.sh", tmp_path)
    fails("fr is missing or empty", trained["plain"], SUBSET="test9")
    fails("fewer than 9 checkpoints to average", trained["plain"], AVERAGE="last:9")
    (tmp_path / "settings").write_text("KIND=translation-training\nBENCHMARK=multi30k\nSRC=fr\nTGT=en\n")
    fails("is of multi30k.fr-en, not of multi30k.en-fr", trained["plain"], tmp_path)
