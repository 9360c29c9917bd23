"""What the shell scripts say to --help, and to an argument that they do not take, before any installation."""

import pytest
from conftest import ROOT, run

SOURCED = {"common.sh", "recipes.sh"}
PASS_ON = {"scripts/test.sh", "summarization/train.sh", "experiments/run_queue.sh"}  # arguments, to a program
PATTERNS = [".ci/run", "examples/*/*.sh", "experiments/run_queue.sh"]
PATTERNS += [f"scripts/{name}.sh" for name in ("check", "measure_gpu", "quickstart", "test")]
FOUND = {"/".join(path.parts[-2:]): path for pattern in PATTERNS for path in sorted(ROOT.glob(pattern))}


@pytest.mark.parametrize("name", [name for name, path in FOUND.items() if path.name not in SOURCED])
def test_help_and_unknown_arguments(name, tmp_path):
    """Regression: the help of the tests, of the gate and of the experiments came after an installation."""
    script, env = FOUND[name], {"VENV": str(tmp_path / "venv"), "PYTHON": "false"}
    help_text = run(script, "--help", **env).stdout
    assert script.name in help_text
    assert len(help_text.splitlines()) < 40
    if script.name.startswith("prepare-"):
        assert "  MIN_FREE_MB  " in help_text
    if name not in PASS_ON:
        assert help_text.startswith("usage: ")
        result = run(script, "--alpha", check=False, **env)
        assert result.returncode == 1
        assert result.stdout.startswith(help_text)
        assert script.stem == "slurm" or "\nerror: " in result.stdout
    assert not list(tmp_path.iterdir())
