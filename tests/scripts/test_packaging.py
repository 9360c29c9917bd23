"""What is installed: the wheel, its requirements, and the environment that the scripts make."""

import importlib.metadata
import re
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT, run
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
def sdist(tmp_path_factory):
    """An sdist built from a copy, as a build leaves folders behind, with the setuptools at hand; unpacked."""
    source, out = (tmp_path_factory.mktemp(name) for name in ("source", "sdist"))
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, source)
    for name in (*PACKAGES, "benchmarks", "scripts", "tests"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    run("env", "-C", source, sys.executable, "setup.py", "--quiet", "sdist", "--dist-dir", out)
    shutil.unpack_archive(next(out.glob("*.tar.gz")), out, filter="data")
    return next(path for path in out.iterdir() if path.is_dir())


@pytest.fixture(scope="module")
def site(sdist, tmp_path_factory):
    """The wheel of what the sdist holds, installed; the tests' editable installation has the clone's path."""
    folder = tmp_path_factory.mktemp("site")
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--target", folder]
    run(sys.executable, "-m", "pip", "install", *options, sdist)
    return folder


def test_the_sdist_holds_the_packages_and_no_tests(sdist):
    """Regression: it said that it held the tests with all that they need, and lacked half of that."""
    names = {path.relative_to(sdist).as_posix() for path in sdist.rglob("*") if path.is_file()}
    assert {name for name in names if "/" in name and ".egg-info/" not in name} == files_of_the_packages()
    assert {"CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml", "setup.py"} <= names


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
RUNNING = f'exec {sys.executable} "$@"'  # a script that is the running Python


@pytest.fixture
def machine(tmp_path):
    """Runs a command of lib.sh where there is nothing but TOOLS and what the test puts into tmp_path/bin."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS.split():
        (folder / tool).symlink_to(shutil.which(tool))

    def call(command="setup_venv examples", **env):
        code = f"set -euo pipefail; source {ROOT}/scripts/common/lib.sh; {command}"
        env = {"HOME": str(tmp_path), "PATH": str(folder), "VENV": str(tmp_path / "venv"), **env}
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.run(["bash", "-c", code], env=env, check=False, **options)

    return call


def assert_refused(result, message):
    """In one line that begins so."""
    assert result.returncode == 1
    assert result.stdout.startswith(message)
    assert result.stdout.count("\n") == 1


def python(path, version, lacks=""):
    """At ``path``, the running Python that takes itself for another version, without what it ``lacks``."""
    site = path.parent / f"{path.name}-site"
    (site / "include").mkdir(parents=True)
    if "headers" not in lacks:
        (site / "include" / "Python.h").touch()
    (site / "sitecustomize.py").write_text(
        f"import sys, sysconfig\nsys.version_info = {(*map(int, version.split('.')), 0)}\n"
        f"sysconfig.get_path = lambda name: {str(site / 'include')!r}\n"
        + ("sys.modules['ensurepip'] = None\n" if "venv" in lacks else "")
    )
    write_script(path, f"export PYTHONPATH={site}; {RUNNING}")


NO_PYTHON = "error: no Python with a fairseq build is here (3.10 to 3.13): install one and name it with"
LACKS = "error: python3 lacks what the installation needs; on Debian or Ubuntu: apt-get install "


@pytest.mark.parametrize(
    ("version", "lacks", "compiler", "message"),
    [
        (None, "", True, NO_PYTHON),
        ("3.9", "", True, NO_PYTHON),
        ("3.10", "headers", True, f"{LACKS}python3.10-dev\n"),
        ("3.11", "venv headers", False, f"{LACKS}python3.11-venv\n"),
        ("3.13", "venv headers", False, f"{LACKS}g++ python3.13-dev python3.13-venv\n"),
    ],
)
def test_missing_prerequisites_are_named_before_anything_is_made(
    machine, tmp_path, version, lacks, compiler, message
):
    """Regression: pip failed after minutes of downloads, with pages about a compiler or a header."""
    if version:
        python(tmp_path / "bin" / "python3", version, lacks)
    if compiler:
        (tmp_path / "bin" / "g++").symlink_to("/bin/true")
    assert_refused(machine(), message)
    assert not (tmp_path / "venv").exists()


def test_the_named_python_is_used_or_refused(machine, tmp_path):
    """The Python that PYTHON names is not replaced by uv or by another that would do."""
    python(tmp_path / "bin" / "python3.11", "3.11")
    write_script(tmp_path / "bin" / "uv", "echo uv was called")
    mine = tmp_path / "mine"
    assert_refused(machine(PYTHON=str(mine)), f"error: PYTHON: {mine} does not start, or is no Python\n")
    python(mine, "3.9")
    no_build = "error: there is no fairseq build for {}, Python {}: name one from 3.10 to 3.13 with PYTHON"
    assert_refused(machine(PYTHON=str(mine)), no_build.format(mine, "3.9"))
    assert not (tmp_path / "venv").exists()
    # The same of an environment that is there. Regression: pip said that it could not find torch 2.13.0.
    python(tmp_path / "venv" / "bin" / "python", "3.14")
    assert_refused(machine(), no_build.format(tmp_path / "venv" / "bin" / "python", "3.14"))


def test_the_python_on_path_is_used_as_it_is(machine, tmp_path):
    """Regression: VENV=$CONDA_PREFIX installed torch 2.13.0 over a cluster's own. VENV=none does not."""
    check = "check_folders VENV; check_room_for_venv; setup_venv examples; python -c 'import torch; print(1)'"
    path = tmp_path / "bin" / "python"
    assert machine(check, VENV="none").stdout.endswith(
        "error: VENV=none: the python on PATH does not start\n"
    )
    path.symlink_to("/usr/bin/python3")
    result = machine(check, VENV="none")
    if result.returncode:  # a system's Python without torch, as a rule
        assert_refused(result, f"error: VENV=none: {path} lacks torch fairseq ")
    path.unlink()
    write_script(path, RUNNING)
    assert machine(check, VENV="none").stdout == "1\n"
    assert not (tmp_path / "none").exists()


def test_what_the_scripts_need_of_the_system_is_named(machine, tmp_path):
    (tmp_path / "bin" / "flock").unlink()
    result = machine("say never")
    assert result.returncode == 1
    message = "error: these scripts need Bash 4.4 .*, GNU coreutils and util-linux\n"
    assert re.fullmatch(message, result.stdout)


def test_pythons_with_wheels_come_first(machine, tmp_path):
    for version in ("3.10", "3.13", "3.12"):
        python(tmp_path / "bin" / f"python{version}", version)
        assert machine("find_python").stdout == f"python{version}\n"
    python(tmp_path / "bin" / "python3.11", "3.9")  # whatever its name says
    assert machine("find_python").stdout == "python3.12\n"


def test_interrupted_creation_is_made_good(machine, tmp_path):
    """Regression: an environment killed before pip was in it had 'No module named pip' at every start."""
    write_script(tmp_path / "bin" / "python3", RUNNING)
    (tmp_path / "bin" / "g++").symlink_to("/bin/true")
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    result = machine(PIP_NO_INDEX="1", PIP_CONFIG_FILE="/dev/null")
    assert result.stdout.endswith("error: pip could not install torch 2.13.0, see above\n")
    assert "No module named pip" not in result.stdout
    run(tmp_path / "venv" / "bin" / "python", "-m", "pip", "--version")


def test_environment_by_uv_where_no_python_will_do(machine, tmp_path):
    """A stand-in for uv, which may download a Python, is called with options that the real one takes."""
    python(tmp_path / "bin" / "python3", "3.14")
    make = f'for folder; do :; done; exec {sys.executable} -m venv --without-pip "$folder"'
    write_script(tmp_path / "bin" / "uv", f'echo "uv $*"\n{make}')
    result = machine("create_venv")
    assert result.returncode == 0, result.stdout
    assert result.stdout == f"uv venv --quiet --seed --allow-existing --python 3.12 {tmp_path}/venv\n"
    assert (tmp_path / "venv" / "bin" / "python").exists()
    write_script(tmp_path / "bin" / "uv", "echo no network\nexit 2")
    result = machine("create_venv")
    assert result.returncode == 1
    assert result.stdout == f"no network\nerror: uv could not create {tmp_path}/venv, see above\n"
