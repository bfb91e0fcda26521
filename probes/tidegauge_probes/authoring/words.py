"""What LFs look for, in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from types import FunctionType, MethodType
from typing import Any, Final

from tidegauge_probes.labeling.probe_set import Probe, TemplateProbe
from tidegauge_probes.labeling.python_probe import PythonProbe
from tidegauge_probes.labeling.templates import (
    Categorical,
    Condition,
    IsNull,
    Keyword,
    Length,
    Lookup,
    Missing,
    Numeric,
    Regex,
)
from tidegauge_probes.labeling.voters import VoterProbe

MOST: Final = 8
"""Maximum words and values shown from a list."""

_BOUNDS: Final = {
    "above": "more than", "at_least": "at least", "below": "less than", "at_most": "at most",
    "equals": "exactly", "not_equals": "anything but",
}  # fmt: skip


def of_probe(probe: Probe) -> str:
    """Say what an LF votes on; of Python, what its author says of it."""
    if isinstance(probe, TemplateProbe):
        return of_condition(probe.condition)
    if isinstance(probe, VoterProbe):
        whose = "the deployed model's label" if probe.deployed else "the vote"
        return f"{whose} in {probe.field}"
    if isinstance(probe, PythonProbe):
        return docstring(probe) or "decided by its Python code"
    return probe.name


def docstring(probe: PythonProbe) -> str:
    """Return the first line of what an LF's author wrote of it; empty if there is nothing."""
    f = probe.f
    while isinstance(f, partial):
        f = f.func
    own = f if isinstance(f, FunctionType | MethodType) else type(f)
    lines = str(getattr(own, "__doc__", None) or "").strip().splitlines()
    return lines[0].strip() if lines else ""


def of_condition(condition: Condition) -> str:
    """Say where a condition holds."""
    if condition.not_ is not None:
        return f"not ({of_condition(condition.not_)})"
    for parts, word in ((condition.all, " and "), (condition.any, " or ")):
        if parts is not None:
            return word.join(map(_bracketed, parts))
    leaf: Any = condition.leaf
    return str(_IN_WORDS[type(leaf)](leaf))


def _bracketed(condition: Condition) -> str:
    text = of_condition(condition)
    return f"({text})" if condition.all or condition.any else text


def _listed(values: Sequence[Any], word: str) -> str:
    shown = [_shown(value) for value in values[:MOST]]
    if len(values) > MOST:
        return ", ".join(shown) + f" {word} {len(values) - MOST} more"
    return f" {word} ".join([", ".join(shown[:-1]), shown[-1]] if shown[1:] else shown)


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"“{value}”" if isinstance(value, str) else str(value)


def _case(leaf: Any) -> str:
    return "" if leaf.case else ", in any case"


def _keyword(leaf: Keyword) -> str:
    words, word = (leaf.any, "or") if leaf.any else (leaf.all or [], "and")
    whole = " as whole words" if leaf.whole_word else ""
    return f"{leaf.field} holds {_listed(words, word)}{whole}{_case(leaf)}"


def _regex(leaf: Regex) -> str:
    return f"{leaf.field} matches /{leaf.pattern}/{_case(leaf)}"


def _within(leaf: Numeric | Length) -> str:
    given = ((name, getattr(leaf, name)) for name in _BOUNDS)
    return " and ".join(f"{_BOUNDS[name]} {b:g}" for name, b in given if b is not None)


def _numeric(leaf: Numeric) -> str:
    return f"{leaf.field} is {_within(leaf)}"


def _length(leaf: Length) -> str:
    within = _within(leaf).replace("less than", "fewer than")
    return f"{leaf.field} has {within} {leaf.unit}"


def _categorical(leaf: Categorical) -> str:
    if leaf.one_of:
        return f"{leaf.field} is {_listed(leaf.one_of, 'or')}"
    return f"{leaf.field} is not {_listed(leaf.none_of or [], 'or')}"


def _lookup(leaf: Lookup) -> str:
    return f"{leaf.field} is {_listed(leaf.values or [], 'or')}{_case(leaf)}"


def _missing(leaf: Missing) -> str:
    return f"{leaf.field} is absent, null or empty"


def _is_null(leaf: IsNull) -> str:
    return f"{leaf.field} is null"


_IN_WORDS: Final[dict[type, Any]] = {
    Keyword: _keyword,
    Regex: _regex,
    Numeric: _numeric,
    Length: _length,
    Categorical: _categorical,
    Lookup: _lookup,
    Missing: _missing,
    IsNull: _is_null,
}
