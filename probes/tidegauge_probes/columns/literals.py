r"""What a text must contain for a regular expression to match: a cheap check before `re`.

`check\s.*\sout` can only match where `check` occurs; `(viagra|cialis) now` only where one of the
two does. `re` still decides about every text that contains one. Literals are read from `re`'s own
parse tree, which cannot interpret the pattern differently.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

from tidegauge_probes.compat import re_constants as op
from tidegauge_probes.compat import re_parser as parser

Literals = frozenset[str]
"""At least one of them must occur, in lower case, in the lowered text."""

SHORTEST: Final = 3
"""Shorter literals of letters and blanks occur in too many texts to be useful."""

MOST: Final = 40
"""With more alternatives, no literals are extracted."""

_ATOMIC_GROUP: Final = getattr(op, "ATOMIC_GROUP", None)
_REPEATS: Final = {op.MAX_REPEAT, op.MIN_REPEAT, getattr(op, "POSSESSIVE_REPEAT", None)}
"""Python 3.10 has no atomic groups and no possessive repetitions."""


@lru_cache(maxsize=4_096)
def required(pattern: str, flags: int = 0) -> Literals | None:
    """Return literals of which every match contains at least one; None if there are none.

    Literals are ASCII and lowered: `literal in text.lower()` is then necessary for a match, whether
    or not case is ignored, in any text without characters of ODD.
    """
    try:
        tree = parser.parse(pattern, flags)
        return _of_sequence(tree)
    except (re.error, RecursionError, OverflowError):
        return None


def _of_sequence(items: Iterable[tuple[Any, Any]]) -> Literals | None:
    """Return the best of the literals that the parts of a sequence require."""
    found: list[Literals] = []
    run = ""
    for code, argument in items:
        if code is op.LITERAL and argument < 128:  # noqa: PLR2004  (ASCII)
            run += chr(argument)
            continue
        _keep(found, run)
        run = ""
        inner = _of_part(code, argument)
        if inner is not None:
            found.append(inner)
    _keep(found, run)
    return max(found, key=_worth, default=None)


def _keep(found: list[Literals], run: str) -> None:
    if len(run) >= SHORTEST or (run.strip() and not run.isalnum()):
        found.append(frozenset({run.lower()}))


def _worth(literals: Literals) -> tuple[int, int]:
    """Return a rank: few and long alternatives exclude the most texts."""
    return -len(literals), min(map(len, literals))


def _of_part(code: Any, argument: Any) -> Literals | None:
    if code is op.SUBPATTERN:
        return _of_sequence(argument[3])
    if code is _ATOMIC_GROUP:
        return _of_sequence(argument)
    if code in _REPEATS:
        least, _, body = argument
        return _of_sequence(body) if least else None
    if code is op.BRANCH:
        return _of_branches(argument[1])
    return None


def _of_branches(branches: Sequence[Iterable[tuple[Any, Any]]]) -> Literals | None:
    """Return what one branch or another requires; None if any branch requires nothing."""
    every: set[str] = set()
    for branch in branches:
        inner = _of_sequence(branch)
        if inner is None:
            return None
        every |= inner
    return frozenset(every) if len(every) <= MOST else None
