"""train.sh that goes on from another training (FROM), and the command that it prints."""

import shlex
import shutil

import pytest
import torch
from conftest import files, run
from translation_data import MULTI30K_SETTINGS, TINY, TRANSLATION, environment, write_multi30k

pytest.importorskip("fairseq")
NAME = "multi30k.en-fr"


@pytest.fixture(scope="module")
def env(tmp_path_factory):
    """The environment of train.sh, with en-fr data."""
    folder = tmp_path_factory.mktemp("data")
    settings = {**MULTI30K_SETTINGS, "LOCAL_FILES": str(write_multi30k(folder / "local"))}
    run(TRANSLATION / "prepare-multi30k.sh", "en-fr", **environment(), **settings, OUT=str(folder / "data"))
    return {**environment(), "DATA": str(folder / "data")}


def train(*flags, check=True, **env):
    return run(TRANSLATION / "train.sh", NAME, *TINY, *flags, check=check, **env)


@pytest.fixture(scope="module")
def plain(env, tmp_path_factory):
    """A plain training of two epochs, and what train.sh said of it."""
    out = tmp_path_factory.mktemp("trained") / "plain"
    return out, train("--max-epoch", "2", **env, CRITERION="plain", OUT=str(out)).stdout


@pytest.mark.slow
def test_a_finish_begins_with_the_average_and_resumes(env, plain, tmp_path):
    folder, said = plain
    # The advice of the plain training. Regression: without DATA it looked for another folder.
    assert f"DATA='{env['DATA']}' FROM='{folder}' '{TRANSLATION}/train.sh' {NAME}" in said
    finish = {**env, "FROM": str(folder), "AVERAGE": "last:2", "OUT": str(tmp_path / "finish")}
    train("--lr", "0.003", **finish, MAX_UPDATE="3")
    out = tmp_path / "finish"
    models = [torch.load(folder / f"checkpoint{n}.pt")["model"] for n in (1, 2)]
    for name, mean in torch.load(out / "start.pt")["model"].items():
        torch.testing.assert_close(mean, (models[0][name] + models[1][name]) / 2)
    train("--lr", "0.003", **finish, MAX_UPDATE="6")
    log = (out / "train.log").read_text()
    assert f"begins with {folder} (last:2)" in log
    assert log.count(f"Loaded checkpoint {out}/start.pt (epoch 3 @ 0 updates)") == 1
    assert log.count(f"Loaded checkpoint {out}/checkpoint_last.pt (epoch 1 @ 3 updates)") == 1
    updates = [line for line in log.splitlines() if "| train_inner |" in line]
    assert [line.split("lr=")[1].split(",")[0] for line in updates if "num_updates=6" in line] == ["0.003"]
    assert "rdrop_kl_loss" in log
    again = train("--lr", "0.003", check=False, **{**finish, "AVERAGE": "best:1"}, MAX_UPDATE="6")
    assert "was made with other settings (AVERAGE=last:2)" in again.stdout


@pytest.mark.slow
def test_what_a_finish_cannot_begin_with(env, plain, tmp_path):
    """Each in one line, before anything is made."""
    folder, _ = plain

    def fails(message, *flags, **change):
        settings = {**env, "FROM": str(folder), "AVERAGE": "last:2", "OUT": str(tmp_path / "out"), **change}
        result = train(*flags, check=False, **settings)
        assert result.returncode == 1
        assert message in result.stdout.strip().splitlines()[-1]
        assert not (tmp_path / "out").exists()

    def altered(name, **changes):
        """Another training, which differs in these settings."""
        other = tmp_path / name
        other.mkdir()
        lines = (folder / "settings").read_text().splitlines()
        kept = [line for line in lines if line.split("=")[0] not in changes]
        text = [*kept, *(f"{key}={value}" for key, value in changes.items())]
        (other / "settings").write_text("".join(f"{line}\n" for line in text))
        return {"FROM": str(other)}

    shutil.copytree(env["DATA"], tmp_path / "data")
    for lang in ("en", "fr"):
        with (tmp_path / "data" / "data-bin" / f"dict.{lang}.txt").open("a") as file:
            file.write("another 1\n")
    fails("is not the output of train.sh", FROM=str(tmp_path))
    fails("is of multi30k.fr-en, not of multi30k.en-fr", **altered("turned", SRC="fr", TGT="en"))
    fails("is of mine.en-fr, not of multi30k.en-fr", **altered("mine", BENCHMARK="mine"))
    fails("is of another model (dictionary ", DATA=str(tmp_path / "data"))
    fails("has no checkpoint_best.pt: train it first", **altered("new"))
    fails("is of another model (--encoder-ffn-embed-dim 32, not 64", "--encoder-ffn-embed-dim", "64")
    fails("--arch transformer, not transformer_tiny): give what it", "--arch", "transformer_tiny")
    assert "is OUT too" in train(check=False, **env, FROM=str(folder), OUT=str(folder)).stdout


def printed(env, *flags):
    """The flags of the command that train.sh prints."""
    script = TRANSLATION / "train.sh"
    (program, *words) = shlex.split(run(script, "--print", NAME, *flags, **env).stdout.replace("\\\n", ""))
    assert program == "fairseq-train"
    return words


def test_the_printed_command_is_whole_and_nothing_is_made(env, tmp_path):
    from fairseq import options

    before = files(tmp_path)
    words = printed({**env, "OUT": str(tmp_path / "out")}, "--lr", "0.007")
    args = options.parse_args_and_arch(options.get_training_parser(), words)
    assert (args.lr, args.max_update, args.encoder_embed_dim) == ([0.007], 14000, 256)
    assert args.adam_betas == "(0.9, 0.98)"
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    "flags",
    [
        "--lr-scheduler fixed",
        "--lr-scheduler=step --lr-deacy-period 4",
        "--optimizer sgd --momentum 0.9",
        "--arch lstm --encoder-hidden-size 8",
        "-a lstm --encoder-hidden-size 8",
    ],
)
def test_what_a_flag_replaces_takes_its_companions_with_it(env, flags):
    """Regression: --lr-scheduler fixed ended in "unrecognized arguments: --warmup-init-lr", the recipe's."""
    from fairseq import options

    words = printed(env, *flags.split())
    args = options.parse_args_and_arch(options.get_training_parser(), words)
    name = flags.split()[0].split("=")[0].lstrip("-").replace("-", "_")
    assert vars(args)["arch" if name == "a" else name] in flags
