"""examples/translation/slurm.sh, with stand-ins for srun and scontrol that make this machine two."""

import os
import sys

import pytest
import torch
from conftest import ROOT, run
from small_corpora import write_script
from translation_data import MULTI30K_SETTINGS, TINY, TRANSLATION, environment, write_multi30k

pytest.importorskip("fairseq")

# srun OPTION COMMAND...: on both machines, as SLURM does; fails as soon as one of them does.
SRUN = """shift
SLURM_NODEID=0 "$@" & SLURM_NODEID=1 "$@" &
wait -n && wait -n"""
SCONTROL = 'echo "scontrol $*" >>"$CALLS"; [[ $1 != show ]] || printf "%s\\n" localhost elsewhere'


@pytest.fixture
def cluster(tmp_path):
    write_script(tmp_path / "bin" / "srun", SRUN)
    write_script(tmp_path / "bin" / "scontrol", SCONTROL)
    path = f"{tmp_path / 'bin'}:{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    job = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "node[1-2]", "SLURM_JOB_NUM_NODES": "2"}
    return {**environment(), **job, "VENV": "none", "CALLS": str(tmp_path / "calls"), "PATH": path}


def submit(cluster, *arguments, check=True):
    return run("env", "-C", ROOT, TRANSLATION / "slurm.sh", *arguments, check=check, **cluster)


def test_two_machines_train_one_model_and_a_requeued_job_resumes(cluster, tmp_path):
    """Regression: on torch 2.6 and newer no training of several processes could resume.

    The first process sent the checkpoint to the others in a form that torch.load refused.
    """
    env = {**environment(), **MULTI30K_SETTINGS, "LOCAL_FILES": str(write_multi30k(tmp_path / "local"))}
    run(TRANSLATION / "prepare-multi30k.sh", "en-de", **env, OUT=str(tmp_path / "data"))
    out = tmp_path / "out"
    cluster |= {"DATA": str(tmp_path / "data"), "OUT": str(out), "MAX_TOKENS": "512", "MASTER_PORT": "29871"}
    for updates in (4, 8):
        submit(cluster | {"MAX_UPDATE": str(updates)}, "multi30k.en-de", *TINY)
        state = torch.load(out / "checkpoint_last.pt")
        assert state["optimizer_history"][-1]["num_updates"] == updates
    log = (out / "train.log").read_text()
    assert "'distributed_world_size': 2" in log
    assert "Loaded checkpoint" in log
    assert (out / "train.machine1.log").exists()


def test_a_job_before_its_end_goes_back_into_the_queue(cluster, tmp_path):
    write_script(tmp_path / "bin" / "srun", "kill -USR1 $PPID; sleep 1")
    submit(cluster, "multi30k.en-de", check=False)
    assert (tmp_path / "calls").read_text().endswith("scontrol requeue 7\n")


def test_outside_of_slurm_the_script_says_how_to_submit_it(cluster):
    result = submit(cluster | {"SLURM_JOB_ID": ""}, "multi30k.en-de", check=False)
    assert result.returncode == 1
    assert result.stdout.startswith("usage: sbatch ")
