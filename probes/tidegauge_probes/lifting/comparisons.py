"""What the parts of a Python LF stand for on columns, and the conditions that they make.

Each kind of value tells what its column must be, in ``reads``; whatever makes no condition that is
known for every such record raises Unknown.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, cast

from tidegauge_probes.columns.batch import ColumnRef
from tidegauge_probes.columns.column import MOST_EXACT, PLAIN
from tidegauge_probes.lifting.constants import Unknown
from tidegauge_probes.lifting.lifted import (
    Compares,
    Contains,
    FieldNumber,
    Kind,
    LiftedLength,
    LiftedMix,
    LiftedText,
    Measure,
    Node,
    Read,
    TextTest,
    Token,
    Total,
    ValueTest,
)  # fmt: skip

_ORDER: Final[Mapping[type[ast.cmpop], Any]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
    ast.Eq: operator.eq, ast.NotEq: operator.ne,
}  # fmt: skip
_FLIPPED: Final[Mapping[Any, Any]] = {
    operator.lt: operator.gt, operator.le: operator.ge, operator.gt: operator.lt,
    operator.ge: operator.le, operator.eq: operator.eq, operator.ne: operator.ne,
}  # fmt: skip


@dataclass(frozen=True)
class Known:
    """A constant."""

    value: Any


@dataclass(frozen=True)
class Field:
    """What a record holds in a field, of whatever type."""

    ref: ColumnRef


@dataclass(frozen=True)
class Words:
    """`text.split()`."""

    text: LiftedText


@dataclass(frozen=True)
class Match:
    """What `re.search` returns: true where it is found, else None."""

    search: Node


@dataclass(frozen=True)
class Several:
    """What a comprehension over constants yields."""

    values: tuple[Any, ...]


class WholeRecord:
    """The record itself."""


Number = FieldNumber | LiftedLength | Measure | Total
Env = Mapping[str, Any]


def is_condition(value: Any) -> bool:
    """Whether a value is a condition: in Python it would be `True` or `False`."""
    return isinstance(value, Node) and not isinstance(value, Number)


def negated(node: Node) -> Node:
    """Return where a condition does not hold."""
    return LiftedMix((node,), negated=True)


class Comparisons:
    """Makes conditions of values; ``reads`` gathers what their columns must be."""

    def __init__(self) -> None:
        self.reads: set[Read] = set()

    @contextmanager
    def gathered(self) -> Iterator[set[Read]]:
        """Give what is read in between on its own, too."""
        known, self.reads = self.reads, set()
        try:
            yield self.reads
        finally:
            self.reads = known | self.reads

    def text(self, value: Any) -> LiftedText:
        """Return a value as a text, which it must then be."""
        if isinstance(value, Field):
            self.reads.add((value.ref, Kind.TEXT))
            return LiftedText(value.ref)
        if isinstance(value, LiftedText):
            return value
        raise Unknown

    def truth(self, value: Any) -> Node:
        """Return where a value is true."""
        if isinstance(value, Known) and type(value.value) in PLAIN:
            return LiftedMix((), every=bool(value.value))
        if isinstance(value, Field):
            self.reads.add((value.ref, Kind.PLAIN))
            return ValueTest(value.ref, Kind.PLAIN, operator.truth)
        if isinstance(value, Match):
            return value.search
        if isinstance(value, LiftedText | Words):
            value = (
                LiftedLength(value)
                if isinstance(value, LiftedText)
                else LiftedLength(value.text, words=True)
            )
        if isinstance(value, Number):
            return Compares(value, operator.ne, 0)
        if is_condition(value):
            return cast("Node", value)
        raise Unknown

    def compared(self, left: Any, operation: ast.cmpop, right: Any) -> Node:
        """Return where `left operation right` holds."""
        if isinstance(operation, ast.In):
            return self._within(left, right)
        if isinstance(operation, ast.NotIn):
            return negated(self._within(left, right))
        if isinstance(operation, ast.Is):
            return self._is_none(left, right)
        if isinstance(operation, ast.IsNot):
            return negated(self._is_none(left, right))
        test = _ORDER[type(operation)]
        if isinstance(left, Known):
            left, right, test = right, left, _FLIPPED[test]
        if not isinstance(right, Known):
            raise Unknown("compares with something that is not a constant")
        if test in {operator.eq, operator.ne} and not isinstance(left, Number):
            equal = self._equal(left, right.value)
            return negated(equal) if test is operator.ne else equal
        return self._ordered(left, test, right.value)

    def _ordered(self, left: Any, test: Callable[[Any, Any], Any], bound: Any) -> Node:
        # A column holds floats: 2⁵³ + 1 would be 2⁵³ there, and `x.n > 2**53` false where Python
        # says true.
        if type(bound) not in {int, float} or abs(bound) > MOST_EXACT:
            raise Unknown("uses < or > with something that is not a number of at most 2⁵³")
        if isinstance(left, Field):
            self.reads.add((left.ref, Kind.NUMBER))
            left = FieldNumber(left.ref)
        if not isinstance(left, Number):
            raise Unknown
        return Compares(left, test, bound)

    def _equal(self, left: Any, constant: Any) -> Node:
        if constant is None:
            return self._is_none(left, Known(None))
        if isinstance(left, Field) and type(constant) in {int, float}:
            return self._ordered(left, operator.eq, constant)
        if isinstance(left, Field) and type(constant) in PLAIN:
            self.reads.add((left.ref, Kind.PLAIN))
            return ValueTest(left.ref, Kind.PLAIN, partial(operator.eq, constant))
        if isinstance(left, LiftedText) and type(constant) is str:
            return TextTest(left, partial(operator.eq, constant))
        raise Unknown

    def _is_none(self, left: Any, right: Any) -> Node:
        if right != Known(None):
            raise Unknown
        if isinstance(left, Match):
            return negated(left.search)
        if isinstance(left, Field):
            return ValueTest(left.ref, Kind.PRESENT, partial(operator.is_, None))
        raise Unknown

    def _within(self, left: Any, right: Any) -> Node:
        if isinstance(right, Known):
            return self._one_of(left, right.value)
        if not isinstance(left, Known) or type(left.value) is not str:
            raise Unknown("searches for something that is not a constant string")
        word = left.value
        if isinstance(right, Words):
            # `"a b" in text.split()` holds for no text: words have no white space in them.
            if len(word.split()) != 1 or word != word.strip():
                return LiftedMix((), every=False)
            return Token(right.text, word)
        text = self.text(right)
        return Contains(text, word) if word else LiftedMix(())

    def _one_of(self, left: Any, constants: Any) -> Node:
        if type(constants) is str:
            return TextTest(self.text(left), constants.__contains__)
        if not isinstance(constants, tuple | frozenset) or not all(
            type(c) in PLAIN for c in constants
        ):
            raise Unknown
        if isinstance(left, LiftedText):
            return TextTest(left, constants.__contains__)
        if not isinstance(left, Field):
            raise Unknown
        self.reads.add((left.ref, Kind.PLAIN))
        return ValueTest(left.ref, Kind.PLAIN, constants.__contains__)
