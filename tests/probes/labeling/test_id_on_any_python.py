"""A ProbeSet has one id on every Python: what a notebook fits, the service must know again.

The ids below must be the same on Python 3.10 to 3.13, with numpy 1.26 and 2: run this file on each
when one of them changes. Once there is a release, a change of one of them strands every deployed
baseline: do not just update them.
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
    "enum": "0bb2e13b65bf3b78",
    "flag": "75f1992da8202204",
    "dataclass": "1c5d9e6bd1780b1e",
    "class": "0d562938932496f0",
    "tuple": "d3493563097eae9e",
    "protocol": "b22130a241286cd2",
    "array": "effd7a1bc59a4f22",
    "decimal": "8fba2e74817dba4d",
    "search": "c280d2fb73c17f46",
    "cached": "c9601208c77ae60d",
    "wrapped": "897780f0332c8af0",
    "resources": "ecf56a7a81f989f8",
    "template": "2086f787ec7ba883",
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
