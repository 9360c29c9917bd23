"""Which code may import which: what users import knows nothing of what stands above it."""

import re

from conftest import ROOT

# Each may import those before it.
TREES = ("rdrop_fairseq", "rdrop_tools", "benchmarks", "experiments", "examples", "tests")
HOSTS = ("fairseq", "fairseq_cli", "transformers")
IMPORT = re.compile(r"^ *(?:from|import) ([\w.]+)", re.MULTILINE)


def imports(folder):
    """{file: the modules that it imports, as they are named there}"""
    return {path: IMPORT.findall(path.read_text(encoding="utf-8")) for path in (ROOT / folder).rglob("*.py")}


def test_arrows_run_one_way():
    for number, tree in enumerate(TREES[:4]):
        for path, names in imports(tree).items():
            wrong = [name for name in names if name.split(".")[0] in TREES[number + 1 :]]
            assert not wrong, f"{path} imports {wrong}"


def test_the_losses_know_tensors_only():
    found = imports("rdrop_fairseq/losses")
    assert any("torch" in names for names in found.values())
    for path, names in found.items():
        others = ("rdrop_fairseq", *HOSTS)
        wrong = [name for name in names if name.startswith("..") or name.split(".")[0] in others]
        assert not wrong, f"{path} imports {wrong}"
