"""What the expressions in a Python LF stand for, on columns.

A part is only read if it can have no effect but its value, and if its value is known for every
record whose fields are of the kinds that it reads. Whatever else there is raises Unknown.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tidegauge_probes.columns.batch import Chain, ColumnRef, PreprocessedField
from tidegauge_probes.columns.patterns import Mode, Pattern
from tidegauge_probes.columns.record_view import RecordView
from tidegauge_probes.lifting.comparisons import (
    Comparisons,
    Env,
    Field,
    Known,
    Match,
    Several,
    WholeRecord,
    Words,
    is_condition,
    negated,
)  # fmt: skip
from tidegauge_probes.lifting.constants import Names, Unknown
from tidegauge_probes.lifting.lifted import (
    Kind,
    LiftedLength,
    LiftedMix,
    LiftedText,
    Measure,
    Node,
    Search,
    TextTest,
    Total,
)  # fmt: skip

MOST_CONSTANTS: Final = 2_000
"""A loop over a longer list of constants is not compiled."""

_TO_TEXT: Final = frozenset({"lower", "upper", "casefold", "strip", "lstrip", "rstrip", "title"})
_TO_BOOL: Final = frozenset(
    {"isupper", "islower", "isdigit", "isalpha", "isalnum", "isspace", "isnumeric", "istitle"}
)
_TO_NUMBER: Final = frozenset({"count", "find", "rfind"})
_SEARCHES: Final = {re.search: Mode.SEARCH, re.match: Mode.MATCH, re.fullmatch: Mode.FULLMATCH}

_MODES: Final = frozenset(mode.value for mode in Mode)


class Expressions(Comparisons):
    """Reads the expressions of one function."""

    def __init__(self, names: Names, chain: Chain) -> None:
        super().__init__()
        self._names = names
        self._chain = chain
        self.loose: str | None = None
        """The part of the source that allows more types, or another order of evaluation, than
        templates do."""

    def condition(self, node: ast.expr, env: Env) -> Node:
        """Return where an expression is true."""
        if isinstance(node, ast.BoolOp):
            parts = tuple(self.condition(part, env) for part in node.values)
            return LiftedMix(parts, every=isinstance(node.op, ast.And))
        return self.truth(self.value(node, env))

    def _comparison(self, node: ast.Compare, env: Env) -> Node:
        values = [self.value(part, env) for part in (node.left, *node.comparators)]
        parts = [
            self.compared(values[n], operation, values[n + 1])
            for n, operation in enumerate(node.ops)
        ]
        return parts[0] if len(parts) == 1 else LiftedMix(tuple(parts))

    def value(self, node: ast.expr, env: Env) -> Any:
        """Return what an expression stands for."""
        reader = _READERS.get(type(node))
        if reader is None:
            raise Unknown().at(node)
        try:
            return getattr(self, reader)(node, env)
        except Unknown as unknown:
            raise unknown.at(node) from None

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
            return LiftedMix(tuple(parts), every=isinstance(node.op, ast.And))
        raise Unknown

    def _known(self, node: ast.expr, env: Env) -> Any:
        value = self.value(node, env)
        if isinstance(value, Known):
            return value.value
        raise Unknown("is no constant").at(node)

    def _unary(self, node: ast.UnaryOp, env: Env) -> Any:
        if isinstance(node.op, ast.Not):
            return negated(self.condition(node.operand, env))
        value = self._known(node.operand, env)
        if isinstance(node.op, ast.USub) and type(value) in {int, float}:
            return Known(-value)
        raise Unknown

    def _field(self, name: str) -> Field:
        if "." in name or hasattr(RecordView, name):
            raise Unknown("is not a plain field of the record")
        ref: ColumnRef = PreprocessedField(name, self._chain) if self._chain else name
        self.reads.add((ref, Kind.PRESENT))
        return Field(ref)

    def _attribute(self, node: ast.Attribute, env: Env) -> Any:
        owner = self.value(node.value, env)
        if isinstance(owner, WholeRecord):
            return self._field(node.attr)
        if isinstance(owner, Known):
            return Known(self._names.attribute(owner.value, node.attr))
        raise Unknown

    def _item(self, node: ast.Subscript, env: Env) -> Field:
        owner, key = self.value(node.value, env), self._known(node.slice, env)
        if isinstance(owner, WholeRecord) and not self._chain and type(key) is str:
            return self._field(key)
        raise Unknown

    def _constants(self, node: ast.expr, env: Env, *, ordered: bool = False) -> tuple[Any, ...]:
        values = self._known(node, env)
        if not isinstance(values, tuple if ordered else tuple | frozenset):
            raise Unknown("is not a list of constants").at(node)
        if len(values) > MOST_CONSTANTS:
            raise Unknown(f"holds more than {MOST_CONSTANTS} constants").at(node)
        return tuple(values)

    def _several(self, node: ast.GeneratorExp | ast.ListComp, env: Env) -> Several:
        [*others, loop] = node.generators
        if others or loop.ifs or loop.is_async or not isinstance(loop.target, ast.Name):
            raise Unknown
        values = self._constants(loop.iter, env)
        name = loop.target.id
        with self.gathered() as reads:
            several = tuple(self.value(node.elt, {**env, name: Known(v)}) for v in values)
        if isinstance(node, ast.ListComp) and len({ref for ref, _ in reads}) > 1:
            self.loose = "a list comprehension over several fields, which reads all of them"
        return Several(several)

    # -- Calls --------------------------------------------------------------------------------

    def _call(self, node: ast.Call, env: Env) -> Any:
        if isinstance(node.func, ast.Attribute):
            owner = self.value(node.func.value, env)
            if isinstance(owner, Field | LiftedText):
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
            return LiftedMix(
                tuple(self.truth(part) for part in value.values), every=function is all
            )
        if function is bool:
            return self.truth(value)
        if function is str:
            self.loose = "`str()`, which accepts any type"
            return self.text(value)
        if function is len and isinstance(value, Words):
            return LiftedLength(value.text, words=True)
        if function is len:
            return LiftedLength(self.text(value))
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

    def _method(self, text: LiftedText, node: ast.Call, env: Env) -> Any:
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

    def _plain_method(self, text: LiftedText, name: str) -> Any:
        if name in _TO_TEXT:
            return LiftedText(text.ref, (*text.methods, name))
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
"""Supported expressions, and the method that reads each."""
