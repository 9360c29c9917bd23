"""Several processes that train one model by train.sh, and two machines by slurm.sh, without SLURM."""

import os
import shutil

import pytest
import torch
from conftest import ROOT, run
from small_corpora import write_script
from translation_data import TINY, TRANSLATION, environment

from rdrop_tools.training.training_log import read_log

pytest.importorskip("fairseq")

NAME = "multi30k.de-en"
# MAX_TOKENS is half an update's tokens: two batches of one process, or one of each of two. 15 batches make an
# epoch: one process of two has none in the end.
SETTINGS = {"MAX_TOKENS": "512", "MAX_UPDATE": "20"}
# Adam moves parameters whose gradient is only noise (biases of keys) as far as others, unless eps forbids it.
FLAGS = [*TINY, *"--batch-size 8 --dropout 0 --adam-eps 1e-4 --rdrop-interval 3 --log-interval 1".split()]
FLAGS += "--disable-validation --save-interval 100 --no-epoch-checkpoints".split()
# srun OPTION COMMAND...: on both machines, as SLURM does; fails as soon as one of them does.
SRUN = """shift
SLURM_NODEID=0 "$@" & SLURM_NODEID=1 "$@" &
wait -n && wait -n"""
SCONTROL = 'echo "scontrol $*" >>"{}/calls"; [[ $1 != show ]] || printf "%s\\n" localhost elsewhere'
SLURM = ("env", "-C", ROOT, TRANSLATION / "slurm.sh", NAME, *FLAGS)


@pytest.fixture(scope="module")
def env(data_bin, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    (folder / "settings").write_text(
        "KIND=translation-data\nBENCHMARK=multi30k\nLANGS=de-en\nBPE=subword-nmt\n"
    )
    (folder / "data-bin").symlink_to(data_bin)
    return {**environment(), **SETTINGS, "DATA": str(folder)}


def train(out, env, processes, *flags, check=True):
    env = {**env, "OUT": str(out), "PROCESSES": processes}
    return run(TRANSLATION / "train.sh", NAME, *FLAGS, *flags, **env, check=check)


@pytest.fixture(scope="module")
def two_processes(env, tmp_path_factory):
    """The folder of a training by two processes."""
    folder = tmp_path_factory.mktemp("two")
    train(folder, env, "2")
    return folder


@pytest.mark.slow
def test_two_processes_are_one_with_two_batches(env, two_processes, tmp_path):
    """Two processes reach the parameters of one with two batches an update; R-Drop has the same updates.

    On the CPU train.sh takes legacy_ddp, the back-end that fairseq also calls no_c10d.
    """
    train(tmp_path, env, "1")
    one, two = (torch.load(folder / "checkpoint_last.pt")["model"] for folder in (tmp_path, two_processes))
    torch.testing.assert_close(two, one, rtol=0, atol=1e-5)
    for folder in (tmp_path, two_processes):
        kl = read_log(folder / "train.log")["train_inner"]["rdrop_kl_loss"]
        assert list(kl) == list(range(1, 20, 3))
    log = (two_processes / "train.log").read_text()
    assert "'distributed_world_size': 2" in log
    assert "'ddp_backend': 'legacy_ddp'" in log


def test_a_training_that_fails_does_not_pass_for_finished(env, tmp_path):
    result = train(tmp_path, env, "1", "--arch", "no_such", check=False)
    assert result.returncode != 0
    assert "fairseq-train failed, see" in result.stdout
    assert "no_such" in (tmp_path / "train.log").read_text()
    assert not (tmp_path / "trained-20").exists()


@pytest.fixture
def job(env, tmp_path, monkeypatch):
    """The environment of a job on two machines, which has stand-ins for SLURM's programs."""
    write_script(tmp_path / "bin" / "srun", SRUN)
    write_script(tmp_path / "bin" / "scontrol", SCONTROL.format(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    slurm = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "node[1-2]", "SLURM_JOB_NUM_NODES": "2"}
    return {**env, **slurm, "VENV": "none"}


@pytest.mark.slow
def test_two_machines_train_one_model_and_a_requeued_job_resumes(job, two_processes, tmp_path):
    """Regression: on torch 2.6 and newer no training of several processes could resume.

    The first process sent the checkpoint to the others in a form that torch.load refused.
    """
    out = shutil.copytree(two_processes, tmp_path / "out")
    run(*SLURM, **job | {"OUT": str(out), "MAX_UPDATE": "24", "MASTER_PORT": "29871"})
    state = torch.load(out / "checkpoint_last.pt")
    assert state["optimizer_history"][-1]["num_updates"] == 24
    log = (out / "train.log").read_text().removeprefix((two_processes / "train.log").read_text())
    assert "'distributed_world_size': 2" in log
    assert "Loaded checkpoint" in log
    assert (out / "train.machine1.log").exists()


def test_a_job_before_its_end_goes_back_into_the_queue(job, tmp_path):
    write_script(tmp_path / "bin" / "srun", "kill -USR1 $PPID; sleep 1")
    run(*SLURM, check=False, **job)
    assert (tmp_path / "calls").read_text().endswith("scontrol requeue 7\n")


def test_outside_of_slurm_the_script_says_how_to_submit_it(job):
    result = run(*SLURM, check=False, **job | {"SLURM_JOB_ID": ""})
    assert result.returncode == 1
    assert result.stdout.startswith("usage: sbatch ")
