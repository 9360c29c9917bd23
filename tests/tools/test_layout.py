"""Which code may import which: what users import knows nothing of what stands above it."""

import ast
from importlib.util import resolve_name

from conftest import ROOT

TREES = ("rdrop_fairseq", "rdrop_tools", "benchmarks", "experiments")  # each may import those before it
LOSSES = "rdrop_fairseq.losses"


def modules(tree):
    """{name of a module: the files' own imports, by absolute names}"""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): set(imports(path))
        for path in (ROOT / tree).rglob("*.py")
    }


def imports(path):
    package = ".".join(path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def is_in(name, package):
    return name == package or name.startswith(f"{package}.")


def test_arrows_run_one_way():
    for number, tree in enumerate(TREES):
        above = [*TREES[number + 1 :], "examples", "tests"]
        found = modules(tree)
        assert any(is_in(name, tree) for names in found.values() for name in names)
        for module, names in found.items():
            wrong = [name for name in names for package in above if is_in(name, package)]
            assert not wrong, f"{module} imports {wrong}"


def test_the_losses_know_tensors_only():
    found = modules(LOSSES.replace(".", "/"))
    assert "torch" in set().union(*found.values())
    for module, names in found.items():
        ours = [name for name in names if is_in(name, "rdrop_fairseq") and not is_in(name, LOSSES)]
        hosts = [name for name in names if name.split(".")[0] in ("fairseq", "fairseq_cli", "transformers")]
        assert not ours + hosts, f"{module} imports {ours + hosts}"
