"""What the expressions in a Python LF stand for, on columns.

A part is only read if it can have no effect but its value, and if its value is known for every
record whose fields are of the kinds that it reads. Whatever else there is raises Unknown.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, cast

from tidegauge_probes.batch import Chain, Made, Place
from tidegauge_probes.column import MOST_EXACT, PLAIN
from tidegauge_probes.constants import Names, Unknown
from tidegauge_probes.lifted import (
    Compares,
    Contains,
    FieldNumber,
    Kind,
    Length,
    Measure,
    Mix,
    Node,
    Read,
    Search,
    Text,
    TextTest,
    Token,
    Total,
    ValueTest,
)  # fmt: skip
from tidegauge_probes.model import RecordView
from tidegauge_probes.patterns import Mode, Pattern

MOST_CONSTANTS: Final = 2_000
"""Constants in a list beyond which a loop over it is not read."""

_ORDER: Final[Mapping[type[ast.cmpop], Any]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge,
    ast.Eq: operator.eq, ast.NotEq: operator.ne,
}  # fmt: skip
_FLIPPED: Final[Mapping[Any, Any]] = {
    operator.lt: operator.gt, operator.le: operator.ge, operator.gt: operator.lt,
    operator.ge: operator.le, operator.eq: operator.eq, operator.ne: operator.ne,
}  # fmt: skip
_TO_TEXT: Final = frozenset({"lower", "upper", "casefold", "strip", "lstrip", "rstrip", "title"})
_TO_BOOL: Final = frozenset(
    {"isupper", "islower", "isdigit", "isalpha", "isalnum", "isspace", "isnumeric", "istitle"}
)
_TO_NUMBER: Final = frozenset({"count", "find", "rfind"})
_SEARCHES: Final = {re.search: Mode.SEARCH, re.match: Mode.MATCH, re.fullmatch: Mode.FULLMATCH}

_MODES: Final = frozenset(mode.value for mode in Mode)


@dataclass(frozen=True)
class Known:
    """A constant."""

    value: Any


@dataclass(frozen=True)
class Field:
    """What a record holds in a field, of whatever type."""

    place: Place


@dataclass(frozen=True)
class Words:
    """`text.split()`."""

    text: Text


@dataclass(frozen=True)
class Match:
    """What `re.search` returns: true where it is found, else None."""

    search: Node


@dataclass(frozen=True)
class Several:
    """What a comprehension over constants yields."""

    values: tuple[Any, ...]


class Record:
    """The record itself."""


_Number = FieldNumber | Length | Measure | Total
Env = Mapping[str, Any]


def is_condition(value: Any) -> bool:
    """Whether a value is a condition: in Python it would be `True` or `False`."""
    return isinstance(value, Node) and not isinstance(value, _Number)


def _not(node: Node) -> Node:
    return Mix((node,), negated=True)


class Expressions:
    """Reads the expressions of one function; ``reads`` gathers what its columns must be."""

    def __init__(self, names: Names, chain: Chain) -> None:
        self._names = names
        self._chain = chain
        self.reads: set[Read] = set()

    # -- Conditions ---------------------------------------------------------------------------

    def condition(self, node: ast.expr, env: Env) -> Node:
        """Return where an expression is true."""
        if isinstance(node, ast.BoolOp):
            parts = tuple(self.condition(part, env) for part in node.values)
            return Mix(parts, every=isinstance(node.op, ast.And))
        return self._truth(self.value(node, env))

    def _truth(self, value: Any) -> Node:
        if isinstance(value, Known) and type(value.value) in PLAIN:
            return Mix((), every=bool(value.value))
        if isinstance(value, Field):
            self.reads.add((value.place, Kind.PLAIN))
            return ValueTest(value.place, Kind.PLAIN, operator.truth)
        if isinstance(value, Match):
            return value.search
        if isinstance(value, Text | Words):
            value = Length(value) if isinstance(value, Text) else Length(value.text, words=True)
        if isinstance(value, _Number):
            return Compares(value, operator.ne, 0)
        if is_condition(value):
            return cast("Node", value)
        raise Unknown

    def _comparison(self, node: ast.Compare, env: Env) -> Node:
        values = [self.value(part, env) for part in (node.left, *node.comparators)]
        parts = [
            self._compared(values[n], operation, values[n + 1])
            for n, operation in enumerate(node.ops)
        ]
        return parts[0] if len(parts) == 1 else Mix(tuple(parts))

    def _compared(self, left: Any, operation: ast.cmpop, right: Any) -> Node:
        if isinstance(operation, ast.In):
            return self._within(left, right)
        if isinstance(operation, ast.NotIn):
            return _not(self._within(left, right))
        if isinstance(operation, ast.Is):
            return self._is_none(left, right)
        if isinstance(operation, ast.IsNot):
            return _not(self._is_none(left, right))
        test = _ORDER[type(operation)]
        if isinstance(left, Known):
            left, right, test = right, left, _FLIPPED[test]
        if not isinstance(right, Known):
            raise Unknown
        if test in {operator.eq, operator.ne} and not isinstance(left, _Number):
            equal = self._equal(left, right.value)
            return _not(equal) if test is operator.ne else equal
        return self._ordered(left, test, right.value)

    def _ordered(self, left: Any, test: Callable[[Any, Any], Any], bound: Any) -> Node:
        if type(bound) not in {int, float} or abs(bound) > MOST_EXACT:
            raise Unknown
        if isinstance(left, Field):
            self.reads.add((left.place, Kind.NUMBER))
            left = FieldNumber(left.place)
        if not isinstance(left, _Number):
            raise Unknown
        return Compares(left, test, bound)

    def _equal(self, left: Any, constant: Any) -> Node:
        if constant is None:
            return self._is_none(left, Known(None))
        if isinstance(left, Field) and type(constant) in {int, float}:
            return self._ordered(left, operator.eq, constant)
        if isinstance(left, Field) and type(constant) in PLAIN:
            self.reads.add((left.place, Kind.PLAIN))
            return ValueTest(left.place, Kind.PLAIN, partial(operator.eq, constant))
        if isinstance(left, Text) and type(constant) is str:
            return TextTest(left, partial(operator.eq, constant))
        raise Unknown

    def _is_none(self, left: Any, right: Any) -> Node:
        if right != Known(None):
            raise Unknown
        if isinstance(left, Match):
            return _not(left.search)
        if isinstance(left, Field):
            return ValueTest(left.place, Kind.PRESENT, partial(operator.is_, None))
        raise Unknown

    def _within(self, left: Any, right: Any) -> Node:
        if isinstance(right, Known):
            return self._one_of(left, right.value)
        if not isinstance(left, Known) or type(left.value) is not str:
            raise Unknown
        word = left.value
        if isinstance(right, Words):
            if len(word.split()) != 1 or word != word.strip():
                return Mix((), every=False)
            return Token(right.text, word)
        text = self.text(right)
        return Contains(text, word) if word else Mix(())

    def _one_of(self, left: Any, constants: Any) -> Node:
        if type(constants) is str:
            return TextTest(self.text(left), constants.__contains__)
        if not isinstance(constants, tuple | frozenset) or not all(
            type(c) in PLAIN for c in constants
        ):
            raise Unknown
        if isinstance(left, Text):
            return TextTest(left, constants.__contains__)
        if not isinstance(left, Field):
            raise Unknown
        self.reads.add((left.place, Kind.PLAIN))
        return ValueTest(left.place, Kind.PLAIN, constants.__contains__)

    # -- Values -------------------------------------------------------------------------------

    def text(self, value: Any) -> Text:
        """Return a value as a text, which it must then be."""
        if isinstance(value, Field):
            self.reads.add((value.place, Kind.TEXT))
            return Text(value.place)
        if isinstance(value, Text):
            return value
        raise Unknown

    def value(self, node: ast.expr, env: Env) -> Any:
        """Return what an expression stands for."""
        reader = _READERS.get(type(node))
        if reader is None:
            raise Unknown
        return getattr(self, reader)(node, env)

    def _constant(self, node: ast.Constant, _: Env) -> Known:
        return Known(node.value)

    def _name(self, node: ast.Name, env: Env) -> Any:
        return env[node.id] if node.id in env else Known(self._names.value(node.id))

    def _display(self, node: ast.Tuple | ast.List | ast.Set, env: Env) -> Known:
        return Known(tuple(self._known(part, env) for part in node.elts))

    def _mixed(self, node: ast.BoolOp, env: Env) -> Node:
        """Read `and` and `or` of conditions; of other things they would return one of those."""
        parts = [self.value(part, env) for part in node.values]
        if all(is_condition(part) for part in parts):
            return Mix(tuple(parts), every=isinstance(node.op, ast.And))
        raise Unknown

    def _known(self, node: ast.expr, env: Env) -> Any:
        value = self.value(node, env)
        if isinstance(value, Known):
            return value.value
        raise Unknown

    def _unary(self, node: ast.UnaryOp, env: Env) -> Any:
        if isinstance(node.op, ast.Not):
            return _not(self.condition(node.operand, env))
        value = self._known(node.operand, env)
        if isinstance(node.op, ast.USub) and type(value) in {int, float}:
            return Known(-value)
        raise Unknown

    def _field(self, name: str) -> Field:
        if "." in name or hasattr(RecordView, name):
            raise Unknown
        place: Place = Made(name, self._chain) if self._chain else name
        self.reads.add((place, Kind.PRESENT))
        return Field(place)

    def _attribute(self, node: ast.Attribute, env: Env) -> Any:
        owner = self.value(node.value, env)
        if isinstance(owner, Record):
            return self._field(node.attr)
        if isinstance(owner, Known):
            return Known(self._names.attribute(owner.value, node.attr))
        raise Unknown

    def _item(self, node: ast.Subscript, env: Env) -> Field:
        owner, key = self.value(node.value, env), self._known(node.slice, env)
        if isinstance(owner, Record) and not self._chain and type(key) is str:
            return self._field(key)
        raise Unknown

    def _constants(self, node: ast.expr, env: Env, *, ordered: bool = False) -> tuple[Any, ...]:
        values = self._known(node, env)
        if not isinstance(values, tuple if ordered else tuple | frozenset):
            raise Unknown
        if len(values) > MOST_CONSTANTS:
            raise Unknown
        return tuple(values)

    def _several(self, node: ast.GeneratorExp | ast.ListComp, env: Env) -> Several:
        [*others, loop] = node.generators
        if others or loop.ifs or loop.is_async or not isinstance(loop.target, ast.Name):
            raise Unknown
        values = self._constants(loop.iter, env)
        name = loop.target.id
        return Several(tuple(self.value(node.elt, {**env, name: Known(v)}) for v in values))

    # -- Calls --------------------------------------------------------------------------------

    def _call(self, node: ast.Call, env: Env) -> Any:
        if isinstance(node.func, ast.Attribute):
            owner = self.value(node.func.value, env)
            if isinstance(owner, Field | Text):
                return self._method(self.text(owner), node, env)
        function = self._known(node.func, env)
        keywords = {k.arg: self._known(k.value, env) for k in node.keywords if k.arg}
        if len(keywords) < len(node.keywords):
            raise Unknown
        arguments = [self.value(argument, env) for argument in node.args]
        owner = getattr(function, "__self__", None)
        if isinstance(owner, re.Pattern) and function.__name__ in _MODES and not keywords:
            return self._search(Mode(function.__name__), owner.pattern, owner.flags, arguments)
        if function is re.compile:
            return Known(self._compiled(arguments, keywords))
        if function in _SEARCHES:
            mode = _SEARCHES[function]
            pattern = self._compiled([*arguments[:1], *arguments[2:]], keywords)
            return self._search(mode, pattern.pattern, pattern.flags, arguments[1:2])
        if keywords or len(arguments) != 1:
            raise Unknown
        return self._builtin(function, arguments[0])

    def _builtin(self, function: Any, value: Any) -> Any:
        if isinstance(value, Several) and function in {any, all, sum}:
            if function is sum and all(map(is_condition, value.values)):
                return Total(value.values)
            if function is sum:
                raise Unknown
            return Mix(tuple(self._truth(part) for part in value.values), every=function is all)
        if function is bool:
            return self._truth(value)
        if function is str:
            return self.text(value)
        if function is len and isinstance(value, Words):
            return Length(value.text, words=True)
        if function is len:
            return Length(self.text(value))
        raise Unknown

    def _compiled(self, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> re.Pattern[str]:
        """Return the pattern that `re.compile` would make of constants."""
        values = [argument.value for argument in arguments if isinstance(argument, Known)]
        if len(values) < len(arguments) or not set(keywords) <= {"flags"}:
            raise Unknown
        try:
            return re.compile(*values, **keywords)
        except (re.error, TypeError, ValueError, OverflowError, RecursionError) as error:
            raise Unknown from error

    def _search(self, mode: Mode, pattern: Any, flags: int, arguments: Sequence[Any]) -> Match:
        if type(pattern) is not str or len(arguments) != 1 or flags & re.DEBUG:
            raise Unknown
        return Match(Search(self.text(arguments[0]), Pattern(pattern, flags, mode)))

    def _method(self, text: Text, node: ast.Call, env: Env) -> Any:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        arguments = tuple(self._known(argument, env) for argument in node.args)
        if node.keywords:
            raise Unknown
        if not arguments:
            return self._plain_method(text, name)
        texts = arguments[0] if isinstance(arguments[0], tuple) else arguments
        if len(arguments) != 1 or not all(type(one) is str for one in texts):
            raise Unknown
        if name in {"startswith", "endswith"}:
            return TextTest(text, operator.methodcaller(name, *arguments))
        if name in _TO_NUMBER and type(arguments[0]) is str:
            return Measure(text, operator.methodcaller(name, *arguments))
        raise Unknown

    def _plain_method(self, text: Text, name: str) -> Any:
        if name in _TO_TEXT:
            return Text(text.place, (*text.methods, name))
        if name in _TO_BOOL:
            return TextTest(text, operator.methodcaller(name))
        if name == "split":
            return Words(text)
        raise Unknown


_READERS: Final[Mapping[type[ast.expr], str]] = {
    ast.Constant: "_constant",
    ast.Name: "_name",
    ast.Attribute: "_attribute",
    ast.Subscript: "_item",
    ast.Compare: "_comparison",
    ast.UnaryOp: "_unary",
    ast.BoolOp: "_mixed",
    ast.Tuple: "_display",
    ast.List: "_display",
    ast.Set: "_display",
    ast.GeneratorExp: "_several",
    ast.ListComp: "_several",
    ast.Call: "_call",
}
"""Expressions that are read, and by which method."""
