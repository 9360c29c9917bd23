"""Which code may import which: what users import knows nothing of what stands above it."""

import ast
from importlib.util import resolve_name

from conftest import ROOT

# Each may import those before it.
TREES = ("rdrop_fairseq", "rdrop_tools", "benchmarks", "experiments", "examples", "tests")
LOSSES = "rdrop_fairseq.losses"
HOSTS = ("fairseq", "fairseq_cli", "transformers")


def imports(folder):
    """{module: what it imports, by absolute names}"""
    found = {}
    for path in (ROOT / folder).rglob("*.py"):
        *package, _ = parts = path.relative_to(ROOT).with_suffix("").parts
        names = found[".".join(parts)] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                module = resolve_name("." * node.level + (node.module or ""), ".".join(package))
                names.update([module, *(f"{module}.{alias.name}" for alias in node.names)])
    return found


def top(name):
    return name.split(".")[0]


def test_arrows_run_one_way():
    for number, tree in enumerate(TREES[:4]):
        found = imports(tree)
        assert tree in map(top, set().union(*found.values()))
        for module, names in found.items():
            wrong = [name for name in names if top(name) in TREES[number + 1 :]]
            assert not wrong, f"{module} imports {wrong}"


def test_the_losses_know_tensors_only():
    found = imports(LOSSES.replace(".", "/"))
    assert "torch" in set().union(*found.values())
    for module, names in found.items():
        others = [name for name in names if not f"{name}.".startswith(f"{LOSSES}.")]
        wrong = [name for name in others if top(name) in ("rdrop_fairseq", *HOSTS)]
        assert not wrong, f"{module} imports {wrong}"
