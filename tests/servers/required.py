"""What happens when a program or package that a test needs is absent: one decision for all."""

import importlib.util
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

import pytest


def absent(sentence: str) -> NoReturn:
    """Skip the test, saying what to install; under continuous integration (`CI=true`), fail it.

    A skip is kind to a laptop. On CI it would be a promise that nobody checks.
    """
    if os.environ.get("CI") == "true":
        pytest.fail(sentence, pytrace=False)
    pytest.skip(sentence)


def require_program(name: str, *, install: str, folders: Iterable[Path] = ()) -> Path:
    """Find a program in `folders`, then on the PATH; if it is nowhere, see `absent`.

    Args:
        name: the program's file name, such as `postgres`.
        install: what to install, such as `apt-get install postgresql`.
        folders: places to look at before the PATH.
    """
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    found = shutil.which(name)
    if found is None:
        absent(f"{name} is not installed; to run this test: {install}")
    return Path(found)


def require_package(name: str, *, install: str) -> None:
    """See `absent` if a package that not every installation has cannot be imported."""
    if importlib.util.find_spec(name) is None:
        absent(f"the package {name} is not installed; to run this test: {install}")


def require_holidays() -> None:
    """Require the holidays of countries, which are an extra."""
    require_package("holidays", install="pip install 'tidegauge[calendar]'")
