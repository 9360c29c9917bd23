"""The commands of a clone take its packages, in an environment that has another clone's installed too."""

import os
import shutil
import sys

import pytest
from conftest import ROOT, run, scripts_environment
from own_corpora import write_trained

pytest.importorskip("fairseq")


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone; the one of these tests is what the environment has installed."""
    folder = tmp_path_factory.mktemp("another") / "clone"
    for name in ("examples", "scripts", "rdrop_fairseq", "rdrop_tools"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (ROOT / "pyproject.toml", *ROOT.glob("constraints*.txt")):
        shutil.copy(path, folder)
    return folder


def run_in(folder, *command, **env):
    return run("bash", "-euc", 'cd "$0"; "$@"', folder, *command, check=False, **{"PYTHONPATH": "", **env})


@pytest.mark.parametrize(("venv", "name"), [("none", "link"), (sys.prefix, "clone")])
def test_scripts_take_the_packages_of_their_clone(clone, venv, name, tmp_path):
    """Regression: translate.sh ended in fairseq's ImportError, "not globally unique"; what was started
    from the root of another clone took the tools that are there.
    """
    scripts_environment()  # or there is nothing installed
    (tmp_path / "link").symlink_to(clone)
    clone = clone if name == "clone" else tmp_path / name
    lib = 'source "$0/scripts/common/lib.sh"; setup_venv examples; python -m rdrop_fairseq'
    found = run_in(ROOT, "bash", "-euc", lib, clone, VENV=venv).stdout.strip()
    assert os.path.realpath(found) == os.path.realpath(clone / "rdrop_fairseq"), found
    run_folder = write_trained(tmp_path)
    command = clone / "examples/translation/translate.sh", run_folder
    said = run_in(ROOT, *command, VENV=venv, DECODING="--beams 5").stdout
    assert said == "error: fairseq-generate: translate.py: error: unrecognized arguments: --beams 5\n"


def test_summarize_by_hand_takes_the_packages_of_its_clone(clone, tmp_path):
    """Regression: as above. The folder that fairseq gets has to be the one that Python has, links and all."""
    (tmp_path / "link").symlink_to(clone)
    show = (
        "import runpy, sys; runpy.run_path(sys.argv[1]); import rdrop_fairseq; print(rdrop_fairseq.__file__)"
    )
    script = tmp_path / "link/examples/summarization/summarize.py"
    said = run_in(ROOT, sys.executable, "-c", show, script).stdout
    assert said.splitlines()[-1] == str(tmp_path / "link/rdrop_fairseq/__init__.py")
