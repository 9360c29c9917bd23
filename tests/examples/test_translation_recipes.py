"""What translation/train.sh would run, without a training: its recipes, its command, what it refuses."""

import shlex

import pytest
from conftest import files, run
from shell_scripts import assert_fails, command
from translation_data import TRANSLATION, environment

pytest.importorskip("fairseq")


@pytest.fixture
def env(tmp_path):
    _, env = command("translation/train", tmp_path)
    return {**environment(), **env, "OUT": str(tmp_path / "out")}


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
    ("pairs", "flags"),
    [
        (9_999, ("--arch transformer", "--encoder-layers 3", "--dropout 0.3", "--lr 2e-3", "1 1024 14000")),
        (200, ("--arch transformer", "--save-interval 25", "--validate-interval 25")),
        (160_000, ("--arch transformer_iwslt_de_en", "--lr 5e-4", "--keep-last-epochs 10", "5 4096 300000")),
        (1_000_000, ("--arch transformer --share-all-embeddings", "--lr 7e-4", "5 32768 300000")),
    ],
)
def test_the_recipe_follows_the_size(pairs, flags):
    script = """source "$0"; recipe mine "$1"; echo "${ARCHITECTURE[*]} ${SCHEDULER[*]} ${TRAINING[*]}" \\
        $DEFAULT_ALPHA $TOKENS_PER_UPDATE $DEFAULT_MAX_UPDATE; echo "$REASON; $ALPHA_REASON" """
    out = run("bash", "-euc", script, TRANSLATION / "recipes.sh", pairs).stdout
    for flag in flags:
        assert flag in out
    assert "10,000 and 29,000 pairs" in out


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("wmt16.en-de", {"DATA": ""}, "data/wmt16.en-de/data-bin is not there: run prepare-text.sh first"),
        ("multi30k", {}, "the benchmark must look like iwslt14.de-en, with codes"),
        ("iwslt14.de-en", {}, "was made with BENCHMARK=multi30k, not iwslt14"),
        ("multi30k.en-de", {"MAX_TOKENS": "3000"}, "must divide the 1024 tokens of an update"),
        ("multi30k.en-de", {"NODES": "2"}, "MASTER must be HOST:PORT of the first machine for NODES=2"),
    ],
)
def test_bad_settings(env, tmp_path, name, change, message):
    assert_fails(message, TRANSLATION / "train.sh", name, **{**env, **change})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("--lr 0.007", {"lr": [0.007], "max_update": 14000, "encoder_embed_dim": 256}),
        ("--lr-scheduler fixed", {"lr_scheduler": "fixed", "adam_betas": "(0.9, 0.98)"}),
        ("--lr-scheduler=step --lr-deacy-period 4", {"lr_scheduler": "step"}),
        ("--optimizer sgd --momentum 0.9 --arch lstm", {"optimizer": "sgd", "arch": "lstm"}),
        ("--optimizer=sgd -a lstm --encoder-hidden-size 8", {"optimizer": "sgd", "arch": "lstm"}),
    ],
)
def test_the_printed_command_is_whole_and_nothing_is_made(env, tmp_path, flags, expected):
    """Regression: --lr-scheduler fixed ended in "unrecognized arguments: --warmup-init-lr", the recipe's."""
    from fairseq import options

    before = files(tmp_path)
    said = run(TRANSLATION / "train.sh", "--print", "multi30k.en-de", *flags.split(), **env).stdout
    program, *words = shlex.split(said.replace("\\\n", ""))
    assert program == "fairseq-train"
    args = vars(options.parse_args_and_arch(options.get_training_parser(), words))
    assert {name: args[name] for name in expected} == expected
    assert files(tmp_path) == before
