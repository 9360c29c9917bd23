"""What the shell scripts of examples say to --help, and to an argument that they do not take."""

import pytest
from conftest import ROOT, run

NO_SCRIPTS = ("common.sh", "languages.sh", "recipes.sh")
SCRIPTS = [path for path in sorted(ROOT.glob("examples/*/*.sh")) if path.name not in NO_SCRIPTS]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: "/".join(path.parts[-2:]))
def test_help_and_unknown_arguments(script):
    help_text = run(script, "--help").stdout
    assert help_text.startswith("usage: ")
    assert script.name in help_text.splitlines()[0]
    if script.name.startswith("prepare-"):
        assert "  MIN_FREE_MB  " in help_text
    if not script.match("summarization/train.sh"):  # it passes flags on to fairseq-train
        result = run(script, "--alpha", check=False)
        assert result.returncode == 1
        assert result.stdout.startswith(help_text)
        assert script.stem in ("slurm", "train-process") or "\nerror: " in result.stdout
