"""The examples in the documentation are true."""

import doctest
import importlib
import pkgutil

import pytest

import tidegauge_alerts

MODULES = [
    module.name for module in pkgutil.walk_packages(tidegauge_alerts.__path__, "tidegauge_alerts.")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_true(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [t for name in MODULES for t in finder.find(importlib.import_module(name))]
    assert sum(bool(test.examples) for test in found) >= 8
