from setuptools import (
    setup,
)  # for a pip before 21.3, which cannot install editable without; see pyproject.toml

setup()
