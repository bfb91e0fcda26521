"""What Python 3.10 lacks is the same there; run by hand on each Python (CONTRIBUTING)."""

from __future__ import annotations

import json
import re

import pytest
from pydantic import ValidationError

from tidegauge_probes.compat import StrEnum, re_compile
from tidegauge_probes.findings import SeriesKind, Verdict
from tidegauge_probes.labeling.templates import Regex


class Colour(StrEnum):
    RED = "red"


def test_a_member_is_its_value_wherever_it_is_printed() -> None:
    assert str(Colour.RED) == f"{Colour.RED}" == "%s" % Colour.RED == "red"  # noqa: UP031
    assert f"{Colour.RED:>5}" == "  red"
    assert json.dumps({Colour.RED: Colour.RED}) == '{"red": "red"}'
    assert Colour("red") is Colour.RED
    assert repr(Colour.RED) == "<Colour.RED: 'red'>"


@pytest.mark.parametrize("member", [*SeriesKind, *Verdict])
def test_the_vocabulary_of_findings_prints_as_it_is_stored(member: StrEnum) -> None:
    assert f"{member}" == member.value == str(member)


@pytest.mark.parametrize("pattern", ["a(?i)b", r"\A(?:(?s)a)", "(a|(?m)b)"])
def test_flags_inside_a_pattern_are_refused_on_every_python(pattern: str) -> None:
    for _ in range(2):  # also where `re` has the pattern in its cache
        with pytest.raises(re.error):
            re_compile(pattern)
        with pytest.raises(ValidationError, match="not a regular expression"):
            Regex(pattern=pattern)


@pytest.mark.parametrize("pattern", ["(?i)ab", "a(?i:b)", "(?x) a b"])
def test_flags_at_the_start_or_of_a_group_are_not(pattern: str) -> None:
    assert re_compile(pattern).pattern == pattern
    assert Regex(pattern=pattern).pattern == pattern
