"""What is installed: the wheel, its requirements, and the environment that the scripts make."""

import importlib.metadata
import re
import shutil
import sys
import tarfile

import pytest
from conftest import ROOT, run, scripts_environment
from packaging.requirements import Requirement
from small_corpora import write_script

HOSTS = {
    **dict.fromkeys(["3.8", "3.9"], "fairseq==0.12.2"),
    **dict.fromkeys(["3.10", "3.13"], "fairseq-fixed==0.12.3.1"),
    **dict.fromkeys(["3.11", "3.12"], "ve-fairseq==0.12.3"),
}
PACKAGES = ("rdrop_fairseq", "rdrop_tools")


def files_of_the_packages():
    found = (path for name in PACKAGES for path in (ROOT / name).rglob("*"))
    return {p.relative_to(ROOT).as_posix() for p in found if p.suffix in (".py", ".csv", ".typed")}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The wheel of an sdist, installed; the tests' editable installation has the clone's path.

    It is built from a copy, as a build leaves folders behind, with the setuptools at hand.
    """
    source, out, folder = (tmp_path_factory.mktemp(name) for name in ("source", "sdist", "site"))
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, source)
    for name in (*PACKAGES, "benchmarks", "scripts", "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    run("env", "-C", source, sys.executable, "setup.py", "--quiet", "sdist", "--dist-dir", out)
    (sdist,) = out.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:  # regression: it held half of what the tests need
        assert not [name for name in archive.getnames() if "/tests/" in name]
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--target", folder]
    run(sys.executable, "-m", "pip", "install", *options, sdist)
    return folder


def test_the_wheel_holds_the_packages_alone(site):
    names = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    others = re.compile(r"bin/|.*\.dist-info/|.*\.pyc$")
    assert {name for name in names if not others.match(name)} == files_of_the_packages()


def test_an_installed_wheel_has_its_own_user_dir_and_commands(site, tmp_path):
    def call(*command, **options):
        return run("env", "-C", tmp_path, *command, PYTHONPATH=str(site), **options).stdout

    assert call(sys.executable, "-m", "rdrop_fairseq") == f"{site / 'rdrop_fairseq'}\n"
    commands = sorted((site / "bin").iterdir())
    assert [path.name for path in commands] == ["rdrop-average", "rdrop-plot", "rdrop-rouge", "rdrop-score"]
    for path in commands:
        assert call(path, "--help").startswith(f"usage: {path.name} ")
    # Regression: the Hugging Face example imported itself, as a package that only the clone's root has.
    pytest.importorskip("transformers")
    script = ROOT / "examples" / "huggingface" / "fine_tune.py"
    said = call(sys.executable, script, "--out", "out", "--model", "./absent", check=False)
    assert "error: cannot load --model ./absent: " in said


def required(site, python, extra=""):
    (info,) = site.glob("*.dist-info")
    metadata = importlib.metadata.Distribution.at(info).metadata
    assert metadata["Requires-Python"] == ">=3.8"
    requirements = [Requirement(line) for line in metadata.get_all("Requires-Dist")]
    environment = {"python_version": python, "extra": extra}
    return [r for r in requirements if r.marker is None or r.marker.evaluate(environment)]


@pytest.mark.parametrize("python", [*HOSTS, "3.14"])
def test_a_build_of_fairseq_is_installed_when_asked_for(site, python):
    """Regression: pip put a second build over the files of the one that was there."""
    assert {r.name for r in required(site, python)} == {"torch", "numpy", "sacrebleu", "sentencepiece"}
    for extra in ("examples", "huggingface", "test", "check"):
        assert not [r.name for r in required(site, python, extra) if "fairseq" in r.name]
    hosts = [f"{r.name}{r.specifier}" for r in required(site, python, "fairseq") if "fairseq" in r.name]
    assert hosts == [HOSTS[python]] if python in HOSTS else not hosts


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13"])
def test_constraints_pin_the_build_for_the_python(python):
    own = ROOT / f"constraints-{python}.txt"
    pins = (own if own.exists() else ROOT / "constraints.txt").read_text().splitlines()
    assert HOSTS[python] in pins
    assert "torch==2.13.0" in pins


TOOLS = "bash cat cut date dirname env flock mkdir realpath rm sha256sum"


@pytest.fixture
def machine(tmp_path):
    """Runs a command of lib.sh where there is nothing but TOOLS and what the test puts into tmp_path/bin."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS.split():
        (folder / tool).symlink_to(shutil.which(tool))

    def call(command="setup_venv examples", **env):
        code = f"set -euo pipefail; source {ROOT}/scripts/common/lib.sh; {command}"
        env = {"PATH": folder, "VENV": tmp_path / "venv", **env}
        return run("bash", "-c", code, check=False, **{name: str(env[name]) for name in env}).stdout

    return call


def python(path, version, ready=True):
    """A stand-in for a Python of this version; if it is not ready it has no venv, and never headers."""
    answers = f"*version_info*) echo {version} ;; *ensurepip*) {str(ready).lower()} ;; *include*) echo / ;;"
    write_script(path, f"case $2 in {answers} esac")


NO_PYTHON = "error: no Python with a fairseq build is here (3.10 to 3.13): install one and name it with"
LACKS = "error: python3 lacks what the installation needs; on Debian or Ubuntu: apt-get install"


@pytest.mark.parametrize(
    ("version", "ready", "message"),
    [
        ("3.9", True, NO_PYTHON),
        ("3.12", False, f"{LACKS} python3.12-venv\n"),
        ("3.13", True, f"{LACKS} python3.13-venv g++ python3.13-dev\n"),
    ],
)
def test_missing_prerequisites_are_named_before_anything_is_made(machine, tmp_path, version, ready, message):
    """Regression: pip failed after minutes of downloads, with pages about a compiler or a header."""
    python(tmp_path / "bin" / "python3", version, ready)
    said = machine()
    assert said.startswith(message)
    assert said.count("\n") == 1
    assert not (tmp_path / "venv").exists()


def test_the_named_python_is_used_or_refused(machine, tmp_path):
    """The Python that PYTHON names is not replaced by uv or by another that would do."""
    python(tmp_path / "bin" / "python3.11", "3.11")
    mine, own = tmp_path / "mine", tmp_path / "venv" / "bin" / "python"
    assert machine(PYTHON=mine) == f"error: PYTHON: {mine} does not start, or is no Python\n"
    python(mine, "3.9")
    assert machine(PYTHON=mine).startswith(f"error: there is no fairseq build for {mine}, Python 3.9: name")
    # The same of an environment that is there. Regression: pip said that it could not find torch 2.13.0.
    python(own, "3.14")
    assert machine().startswith(f"error: there is no fairseq build for {own}, Python 3.14: name one")


def test_the_python_on_path_is_used_as_it_is(machine, tmp_path):
    """Regression: VENV=$CONDA_PREFIX installed torch 2.13.0 over a cluster's own. VENV=none does not."""
    check = "check_folders VENV; check_room_for_venv; setup_venv examples; python -c 'import torch; print(1)'"
    assert machine(check, VENV="none").startswith(
        "error: VENV=none: the python on PATH does not start, or lacks"
    )
    write_script(tmp_path / "bin" / "python", f'exec {sys.executable} "$@"')
    assert machine(check, VENV="none") == "1\n"
    assert not (tmp_path / "none").exists()


def test_pythons_with_wheels_come_first(machine, tmp_path):
    for version in ("3.10", "3.13", "3.12"):
        python(tmp_path / "bin" / f"python{version}", version)
        assert machine("check_python() { die $1; }; create_venv") == f"error: python{version}\n"
    python(tmp_path / "bin" / "python3.11", "3.9")  # whatever its name says
    assert machine("check_python() { die $1; }; create_venv") == "error: python3.12\n"


def test_interrupted_creation_is_made_good(machine, tmp_path):
    """Regression: an environment killed before pip was in it had 'No module named pip' at every start."""
    write_script(tmp_path / "bin" / "python3", f'exec {sys.executable} "$@"')
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    said = machine(PIP_NO_INDEX="1", PIP_CONFIG_FILE="/dev/null")
    assert "ERROR: " in said  # of pip, which has no index
    assert "No module named pip" not in said
    run(tmp_path / "venv" / "bin" / "python", "-m", "pip", "--version")


def test_uv_where_no_python_will_do(machine, tmp_path):
    write_script(tmp_path / "bin" / "uv", 'echo "uv $*"')
    assert (
        machine("create_venv") == f"uv venv --quiet --seed --allow-existing --python 3.12 {tmp_path}/venv\n"
    )


def test_what_the_scripts_need_of_the_system_is_named(machine, tmp_path):
    (tmp_path / "bin" / "flock").unlink()
    assert re.fullmatch("error: these scripts need Bash 4.4 .*, GNU coreutils and util-linux\n", machine())


@pytest.mark.parametrize("venv", ["none", sys.prefix])
def test_scripts_take_the_packages_of_their_clone(venv, tmp_path):
    """In an environment that has another clone's installed, started from that clone's root.

    Regression: translate.sh ended in fairseq's ImportError, "not globally unique".
    """
    scripts_environment()  # or there is nothing installed
    for name in ("scripts", *PACKAGES):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (ROOT / "pyproject.toml", *ROOT.glob("constraints*.txt")):
        shutil.copy(path, tmp_path)
    lib = 'cd "$1"; source "$0/scripts/common/lib.sh"; setup_venv examples; python -m rdrop_fairseq'
    found = run("bash", "-euc", lib, tmp_path, ROOT, VENV=venv, PYTHONPATH="").stdout
    assert found == f"{tmp_path}/rdrop_fairseq\n"
