"""The tests of the package and of the command line on every host that docs/hosts.md lists.

``nox`` runs all that there is a Python for, ``nox -s "tests(3.8)"`` one; what follows ``--`` goes to pytest.
The main host's full tests, with those of the scripts and recipes, are scripts/test.sh.
"""

import nox

nox.options.default_venv_backend = "venv"

HOSTS = [  # Python, requirements that come first
    nox.param("3.8", ["pip<24.1", "torch==2.4.1"], id="3.8"),
    nox.param("3.9", ["pip<24.1", "torch==2.4.1"], id="3.9"),
    nox.param("3.10", ["torch==2.13.0", "--constraint=constraints-3.10.txt"], id="3.10"),
    nox.param("3.11", ["torch==2.13.0", "--constraint=constraints.txt"], id="main"),
    nox.param("3.11", ["torch==2.0.1", "numpy<2"], id="oldest-torch"),
    nox.param("3.12", ["torch==2.13.0", "--constraint=constraints.txt"], id="3.12"),
    nox.param("3.13", ["torch==2.13.0", "--constraint=constraints-3.13.txt"], id="3.13"),
]


@nox.session
@nox.parametrize("python,requirements", HOSTS)
def tests(session: nox.Session, requirements: list[str]) -> None:
    # pip < 24.1: newer ones refuse the metadata of what the official fairseq requires. No isolation: where
    # fairseq is compiled, it would fetch a torch of its own. The setuptools of a new environment knows no
    # [project] table on Python 3.8.
    session.install(*requirements, "cython", "numpy", "setuptools>=68", "wheel")
    session.install(*requirements, "--no-build-isolation", "--editable=.[fairseq,test]")
    session.run("pytest", "tests/package", *session.posargs, env={"OMP_NUM_THREADS": "1"})
