"""examples/translation/train.sh and evaluate.sh on a small Multi30k; the same recipes for hydra."""

import json
from pathlib import Path

import pytest
import torch
from conftest import kill_when, lengthen_last_line, run
from translation_data import MULTI30K_SETTINGS, TINY, TRANSLATION, environment, write_multi30k

from rdrop_tools.training.training_log import read_log

pytest.importorskip("fairseq")

NAME = "multi30k.en-fr"


@pytest.fixture(scope="module")
def env(tmp_path_factory):
    folder = tmp_path_factory.mktemp("multi30k")
    local = write_multi30k(folder / "local")
    lengthen_last_line(*(local / f"{text}.gz" for text in ("train.fr", "val.fr", "test_2016_flickr.en")))
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
    folders = {}
    for criterion in ("plain", "rdrop"):
        folders[criterion] = tmp_path_factory.mktemp("trained") / criterion
        result = train("--max-epoch", "2", **env, CRITERION=criterion, OUT=str(folders[criterion]))
        assert "valid on 'valid' subset" in result.stdout
    return folders


def test_both_criterions_train_and_a_rerun_does_nothing(env, trained):
    """A pair that was too long for the model ended the training in its first validation."""
    logs = {criterion: (folder / "train.log").read_text() for criterion, folder in trained.items()}
    assert "rdrop_kl_loss" in logs["rdrop"]
    assert "rdrop_kl_loss" not in logs["plain"]
    assert all(log.count("1 samples have invalid sizes and will be skipped") >= 2 for log in logs.values())
    for folder in trained.values():
        assert {f"checkpoint{n}.pt" for n in (1, 2)} <= {path.name for path in folder.iterdir()}
    folder = trained["rdrop"]
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    train("--max-epoch", "2", **env, OUT=str(folder))
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    result = train("--max-epoch", "2", **env, OUT=str(folder), ALPHA="2", check=False)
    assert result.returncode == 1
    assert f"{folder} was made with other settings (ALPHA=1)" in result.stdout


def test_no_pair_of_valid_is_lost(trained):
    """Regression: of 11 pairs that the model takes, fairseq's default, multiples of 8, saw 8."""
    for folder in trained.values():
        validations = [
            line for line in (folder / "train.log").read_text().splitlines() if "| valid | " in line
        ]
        assert len(validations) == 2
        assert all("| bsz 11 |" in line for line in validations)  # they are one batch


def test_evaluation_of_two_systems(env, trained):
    system, baseline = trained["rdrop"], trained["plain"]
    out = system / "evaluation.test"
    (out / "part" / "left over").mkdir(parents=True)
    (out / "baseline").mkdir()
    (out / "settings").write_text("KIND=translation-evaluation\n")
    (out / "mine").write_text("mine")
    result = evaluate(system, baseline, **env, AVERAGE="last:2", DECODING="--beam 2")
    assert [path.name for path in out.rglob("left*")] == []
    assert (out / "mine").read_text() == "mine"
    scores = json.loads((out / "scores.json").read_text())["scores"]
    assert [score["name"] for score in scores] == [
        "BLEU, tokenised",
        "BLEU, sacreBLEU",
        "chrF2, sacreBLEU",
        "TER, sacreBLEU",
    ]
    for score in scores:
        assert 0 <= score["p_value"] <= 1
        assert score["signature"] in result.stdout
        assert f"{score['score']:6.2f}   {score['baseline']:8.2f}    {score['p_value']:.4f}" in result.stdout
    for name in ("system", "baseline"):
        hypotheses = (out / name / "hyp.txt").read_text().splitlines()
        assert len(hypotheses) == 12
        assert [number for number, line in enumerate(hypotheses) if not line] == [11]
    assert result.stdout.count("1 of 12 sentences are too long for the model: their lines are empty") == 2
    for name in ("system", "baseline"):
        assert "beam=2" in (out / name / "generate.log").read_text().replace("'beam': 2", "beam=2")
    models = [torch.load(system / f"checkpoint{n}.pt")["model"] for n in (1, 2)]
    for name, mean in torch.load(out / "system" / "averaged.pt")["model"].items():
        torch.testing.assert_close(mean, (models[0][name] + models[1][name]) / 2)
    assert not list(system.glob("*.part"))


def test_text_is_translated_as_the_test_set_is(env, trained, tmp_path):
    """translate.sh, with Moses' tokens and BPE: text in, text out, and the line that is too long empty."""
    source = Path(env["DATA"]) / "corpus" / "raw" / "test.en"
    settings = {**env, "AVERAGE": "last:2", "DECODING": "--beam 2"}
    command = ["bash", "-euc", '"$0" "$1" <"$2" 2>"$3"', TRANSLATION / "translate.sh", trained["rdrop"]]
    translated = run(*command, source, tmp_path / "errors", stderr=None, **settings).stdout
    evaluate(trained["rdrop"], **settings, OUT=str(tmp_path / "evaluation"))
    assert translated == (tmp_path / "evaluation" / "system" / "hyp.txt").read_text()
    message = (
        "1 of 12 lines are longer than the 1024 pieces that the model takes: their translations are empty"
    )
    assert (tmp_path / "errors").read_text().splitlines()[-1] == message


def test_a_second_test_set_and_the_best_checkpoint(env, trained):
    result = evaluate(trained["plain"], **env, SUBSET="test3", AVERAGE="best:1", DECODING="--beam 1")
    assert "averaged: checkpoint_best.pt" in result.stdout
    out = trained["plain"] / "evaluation.test3"
    assert len((out / "system" / "hyp.tok").read_text().splitlines()) == 6
    assert json.loads((out / "scores.json").read_text())["scores"][0]["p_value"] is None


def parameters(folder):
    return torch.load(folder / "checkpoint_last.pt")["model"]


@pytest.fixture(scope="module")
def one_process(env, tmp_path_factory):
    """The output of 20 updates of two batches each, in one process."""
    return twenty_updates(tmp_path_factory.mktemp("processes") / "one", env, PROCESSES="1")


def twenty_updates(out, env, *flags, check=True, **settings):
    # MAX_TOKENS is half an update's tokens: two batches of one process, or one of each of two. Adam moves
    # parameters whose gradient is only noise (biases of keys) as far as others, unless its eps forbids.
    # 15 batches make an epoch: one process of two has none in the end.
    once = "--disable-validation --save-interval 100 --no-epoch-checkpoints --dropout 0 --adam-eps 1e-4"
    once += " --rdrop-interval 3 --log-interval 1"
    flags = [*once.split(), *"--batch-size 8".split(), *flags]
    settings |= {"OUT": str(out), "MAX_TOKENS": "512", "MAX_UPDATE": "20"}
    result = train(*flags, **env, **settings, check=check)
    return out if check else result


def test_two_processes_are_one_with_two_batches(env, one_process, tmp_path):
    """The same updates have R-Drop, too. On the CPU train.sh takes legacy_ddp, the back-end that fairseq
    also calls no_c10d."""
    two_processes = twenty_updates(tmp_path, env, PROCESSES="2")
    log = (two_processes / "train.log").read_text()
    assert "'distributed_world_size': 2" in log
    assert "'ddp_backend': 'legacy_ddp'" in log
    two = parameters(two_processes)
    for name, expected in parameters(one_process).items():
        torch.testing.assert_close(two[name], expected, rtol=0, atol=1e-5)
    for folder in (one_process, two_processes):
        kl = read_log(folder / "train.log")["train_inner"]["rdrop_kl_loss"]
        assert list(kl) == list(range(1, 20, 3))


def test_pytorch_ddp_on_the_cpu_ends_with_an_error(env, tmp_path):
    """fairseq gives it a device, which a CPU refuses: that must not pass for a finished training."""
    result = twenty_updates(tmp_path, env, "--ddp-backend", "pytorch_ddp", PROCESSES="2", check=False)
    assert result.returncode != 0
    assert "fairseq-train failed, see" in result.stdout
    assert "device_ids" in (tmp_path / "train.log").read_text()
    assert not (tmp_path / "trained-20").exists()


@pytest.mark.parametrize("benchmark", ["iwslt14", "wmt14", "multi30k"])
def test_yaml_has_the_recipe(benchmark):
    from fairseq import options
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf
    from omegaconf import OmegaConf

    yaml = OmegaConf.load(TRANSLATION / "config" / f"{benchmark}.yaml")
    source, target = yaml.task.source_lang, yaml.task.target_lang
    script = """TGT=$1; source "$0"; recipe "$2"
        printf '%s\\n' "${ARCHITECTURE[@]}" "${SCHEDULER[@]}" "${TRAINING[@]}" \\
        --max-tokens $DEFAULT_MAX_TOKENS --max-update $DEFAULT_MAX_UPDATE --rdrop-alpha $DEFAULT_ALPHA \\
        --update-freq $((TOKENS_PER_UPDATE / DEFAULT_MAX_TOKENS)) \\
        --eval-bleu-args "{\\"beam\\": $VALIDATION_BEAM, \\"max_len_a\\": 1.2, \\"max_len_b\\": 10}\""""
    flags = run("bash", "-euc", script, TRANSLATION / "recipes.sh", target, benchmark).stdout.splitlines()
    shared = "--eval-bleu --eval-bleu-detok moses --eval-bleu-remove-bpe".split()
    shared += ["--best-checkpoint-metric", "bleu"]
    shared += ["--maximize-best-checkpoint-metric", "--log-format", "simple", "--log-interval", "100"]
    shared += ["--criterion", "label_smoothed_cross_entropy_rdrop", "--task", "translation", "--seed", "1"]
    arguments = ["data", *shared, *flags, "-s", source, "-t", target]
    cfg = convert_namespace_to_omegaconf(
        options.parse_args_and_arch(options.get_training_parser(), arguments)
    )
    yaml.task.data = "data"
    model = yaml.model.pop("_name")
    assert model == getattr(cfg.model, "arch", None) or model == cfg.model._name
    for group, values in yaml.items():
        for name, value in values.items():
            assert getattr(cfg[group], name) == value, f"{group}.{name}"


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("wmt16.en-de", {}, "is not of wmt16"),
        ("wmt16.en-de", {"DATA": ""}, "data/wmt16.en-de/data-bin is not there: run prepare-text.sh first"),
        ("multi30k", {}, "the benchmark must look like iwslt14.de-en, got multi30k"),
        (NAME, {"CRITERION": "kl"}, "CRITERION must be rdrop or plain, got kl"),
        (NAME, {"DATA": "/not/there"}, "/not/there/data-bin is not there: run prepare-multi30k.sh first"),
        ("multi30k.en-de", {}, "has en-fr, not en-de"),
        ("iwslt14.de-en", {}, "is not of iwslt14"),
        (NAME, {"MAX_TOKENS": "x"}, "MAX_TOKENS must be an integer from 1 to 999999999, got x"),
        (NAME, {"MAX_TOKENS": "3000"}, "must divide the 1024 tokens of an update"),
        (NAME, {"PRECISION": "bf16"}, "PRECISION must be fp16 or fp32, got bf16"),
        (NAME, {"NODES": "2"}, "MASTER must be HOST:PORT of the first machine for NODES=2"),
    ],
)
def test_bad_settings(env, tmp_path, name, change, message):
    out = tmp_path / "out"
    result = run(TRANSLATION / "train.sh", name, check=False, **{**env, "OUT": str(out), **change})
    assert result.returncode == 1
    assert message in result.stdout.strip().splitlines()[-1]
    assert not out.exists()


def test_bad_evaluations(env, trained, tmp_path):
    def fails(message, *folders, **change):
        result = evaluate(*folders, **{**env, **change}, check=False)
        assert result.returncode == 1
        assert message in result.stdout.strip().splitlines()[-1]

    fails("is not the output of train.sh", tmp_path)
    fails("AVERAGE must be last:N or best:N, got 5", trained["plain"], AVERAGE="5")
    fails("fr is missing or empty", trained["plain"], SUBSET="test9")
    fails("fewer than 9 checkpoints to average", trained["plain"], AVERAGE="last:9")
    (tmp_path / "settings").write_text("KIND=translation-training\nBENCHMARK=multi30k\nSRC=fr\nTGT=en\n")
    fails("is of multi30k.fr-en, not of multi30k.en-fr", trained["plain"], tmp_path)


def test_interrupted_training_resumes(env, tmp_path):
    interrupted = {**env, "OUT": str(tmp_path), "MAX_UPDATE": "400"}
    kill_when(tmp_path / "checkpoint2.pt", TRANSLATION / "train.sh", NAME, *TINY, **interrupted)
    assert not (tmp_path / "trained-400").exists()
    train(**env, OUT=str(tmp_path), MAX_UPDATE="16")
    assert "Loaded checkpoint" in (tmp_path / "train.log").read_text()
    assert (tmp_path / "trained-16").exists()


@pytest.mark.parametrize("script", ["train", "evaluate", "translate", "prepare-text", "train-process"])
def test_help(script):
    result = run(TRANSLATION / f"{script}.sh", "--help")
    assert result.stdout.startswith("usage: ")
