"""A ProbeSet has one id on every Python: what a notebook fits, the service must know again.

The ids below were the same on Python 3.10, 3.11, 3.12 and 3.13, with numpy 1.26 and 2. Once there
is a release, a change of one of them strands every deployed baseline: do not just update them.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.probes.labeling.lfs_of_any_python import PYTHON
from tidegauge_probes import LabelingFunction, ProbeSet
from tidegauge_probes.labeling.digest import digest
from tidegauge_probes.labeling.templates import TemplateSpec

IDS = {
    "enum": "9aca2ea2a65af5a4",
    "flag": "58abc7ced085abe1",
    "dataclass": "c7baf37ff27a9d98",
    "class": "7ad134238efac552",
    "tuple": "8b8aedc290a1c8bc",
    "protocol": "a37c1e02df96c574",
    "array": "bb0e6192bd91910c",
    "decimal": "e18ac6d9b9703f61",
    "search": "a62d4c508a4064b3",
    "cached": "461ebe955561740a",
    "wrapped": "950acd8c2d99d6ba",
    "resources": "e31e930c807b3b9b",
    "template": "28d14bc498ad7de3",
}

TEMPLATE = {"name": "lf", "label": 1, "keyword": {"any": ["prize", "café"], "whole_word": True}}


@pytest.mark.parametrize("style", PYTHON)
def test_python(style: str) -> None:
    assert ProbeSet.of([PYTHON[style]]).id == IDS[style]


def test_a_template() -> None:
    assert ProbeSet.of([TemplateSpec.model_validate(TEMPLATE)]).id == IDS["template"]


def id_with(constant: Any) -> str:
    """Return the digest of an LF that reads a constant of its module."""
    space: dict[str, Any] = {"__name__": "a_module", "CONSTANT": constant}
    exec("def lf(x): return 1 if x.k == CONSTANT else -1", space)  # noqa: S102
    return digest(LabelingFunction("lf", space["lf"]))


def test_a_function_of_a_library_counts_by_its_name_not_by_its_cache() -> None:
    before = id_with({"search": re.search})
    for n in range(20):
        re.search(f"never seen before {n}", "")
    assert id_with({"search": re.search}) == before
    assert id_with({"search": re.match}) != before


def test_what_a_library_wraps_still_counts() -> None:
    """`contextmanager` and `singledispatch` give a function of theirs around one of yours."""
    from contextlib import contextmanager
    from functools import singledispatch

    def one(x: Any) -> Any:
        yield 1

    def two(x: Any) -> Any:
        yield 2

    for wrap in (contextmanager, singledispatch):
        assert id_with([wrap(one)]) != id_with([wrap(two)])
        assert id_with([wrap(one)]) == id_with([wrap(one)])


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Decimal('1')", "Decimal('2')"),
        ("Fraction(1, 2)", "Fraction(1, 3)"),
        ("UUID(int=1)", "UUID(int=2)"),
    ],
)
def test_numbers_of_the_standard_library_are_constants_too(one: str, two: str) -> None:
    from decimal import Decimal
    from fractions import Fraction
    from uuid import UUID

    space = {"Decimal": Decimal, "Fraction": Fraction, "UUID": UUID}
    assert id_with(eval(one, space)) != id_with(eval(two, space))  # noqa: S307
    assert id_with(eval(one, space)) == id_with(eval(one, space))  # noqa: S307
