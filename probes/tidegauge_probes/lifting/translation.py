"""From what the source of a Python LF says to a template that has the same outcomes.

The same for every record whose fields are absent, null, or of the types that the source is made
for; on other types (a list where a text is looked into) the template's outcome is an error, where
Python may do anything. What no template says in that sense is not translated.

Conditions are plain data here, as they stand in a ProbeSet's file.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from tidegauge_probes.columns.batch import ColumnRef
from tidegauge_probes.columns.column import MOST_EXACT
from tidegauge_probes.columns.patterns import Mode
from tidegauge_probes.compat import re_compile
from tidegauge_probes.lifting.lifted import (
    Compares,
    Contains,
    FieldNumber,
    If,
    Kind,
    Lifted,
    LiftedLength,
    LiftedMix,
    LiftedText,
    Node,
    Python,
    Read,
    Search,
    TextTest,
    Token,
    Tree,
    ValueTest,
    Vote,
)  # fmt: skip
from tidegauge_probes.model import ABSTAIN

ConditionKeys = dict[str, Any]
"""A condition as written in a file."""

_BOUNDS: Final[dict[Any, str]] = {
    operator.gt: "above", operator.ge: "at_least", operator.lt: "below",
    operator.le: "at_most", operator.eq: "equals", operator.ne: "not_equals",
}  # fmt: skip
_STRIPPED: Final = {("strip",): True, ("strip", "lower"): False, ("lower", "strip"): False}
"""Methods that may precede a lookup, and whether the lookup then matches case."""

_KEEPS_WORDS: Final = frozenset({"lower", "strip", "lstrip", "rstrip"})
"""Methods that do not change how many words `split` finds (no character becomes white space)."""

_GROUPS: Final = {
    Mode.SEARCH: "{}", Mode.MATCH: r"\A(?:{})", Mode.FULLMATCH: r"\A(?:{})\Z"
}  # fmt: skip


class Untranslatable(Exception):  # noqa: N818  (a way out, not an error)
    """No template says the same."""


def votes_of(tree: Tree) -> set[int]:
    """Return what a decision can vote, abstain included."""
    if isinstance(tree, If):
        return votes_of(tree.then) | votes_of(tree.otherwise)
    return {tree.vote} if isinstance(tree, Vote) else set()


def translate(lifted: Lifted) -> tuple[int, ConditionKeys]:
    """Return the class that an LF votes for, and the condition for it; or raise Untranslatable."""
    labels = sorted(votes_of(lifted.tree) - {ABSTAIN})
    condition = _of_tree(lifted, labels[:1])
    if len(labels) != 1:
        raise Untranslatable("it votes for several classes, but a template votes for one")
    return labels[0], condition


def translate_slice(lifted: Lifted) -> ConditionKeys:
    """Return where a slicing function takes a record; or raise Untranslatable."""
    return _of_tree(lifted, (1,))


def _of_tree(lifted: Lifted, wanted: Collection[int]) -> ConditionKeys:
    if lifted.loose is not None:
        raise Untranslatable(f"no template can express {lifted.loose}")
    found = _decided(lifted.tree, wanted, frozenset())
    if isinstance(found, bool):
        raise Untranslatable("it gives the same answer for every record")
    return found


def _decided(tree: Tree, wanted: Collection[int], seen: frozenset[Read]) -> ConditionKeys | bool:
    """Return where a decision comes to a wanted vote; *seen*: what has been read on the way.

    Conditions are asked in the order of the source, and no more of them than Python asks.
    """
    if isinstance(tree, Python):
        raise Untranslatable(tree.why)
    if isinstance(tree, Vote):
        _refuse_unseen(tree.before, seen)
        return tree.vote in wanted
    seen |= _first_reads(tree.test)
    _refuse_unseen(tree.before, seen)
    test = _condition(tree.test)
    then, otherwise = (_decided(part, wanted, seen) for part in (tree.then, tree.otherwise))
    # `if a: return 1` before the rest is a or rest; `if a: return -1` is not a, and the rest.
    if then is True:
        return test if otherwise is False else _any([test, _whole(otherwise)])
    if then is False:
        return _not(test) if otherwise is True else _all([_not(test), _whole(otherwise)])
    if otherwise is False:
        return _all([test, then])
    if otherwise is True:
        return _any([_not(test), then])
    return _any([_all([test, then]), _all([_not(test), otherwise])])


def _whole(condition: ConditionKeys | bool) -> ConditionKeys:  # noqa: FBT001  (everywhere, or nowhere)
    if isinstance(condition, bool):
        raise Untranslatable("it tests a condition, but gives the same answer either way")
    return condition


def _refuse_unseen(before: Iterable[Read], seen: Collection[Read]) -> None:
    """Refuse what is read before it is asked about: there Python fails where nobody asks."""
    present = {ref for ref, _ in seen}
    for ref, kind in before:
        if (ref, kind) not in seen and not (kind is Kind.PRESENT and ref in present):
            raise Untranslatable(f"it reads {ref!r} before it tests it")


def _first_reads(node: Node) -> frozenset[Read]:
    """Return what a condition reads in any case: what its first part does."""
    if isinstance(node, LiftedMix | Compares):
        return _first_reads(node.parts[0]) if node.parts else frozenset()
    if isinstance(node, FieldNumber):
        return frozenset({(node.ref, Kind.NUMBER)})
    if isinstance(node, ValueTest):
        return frozenset({(node.ref, node.kind)})
    text = getattr(node, "text", None)
    return frozenset({(text.ref, Kind.TEXT)}) if isinstance(text, LiftedText) else frozenset()


# -- Mixes ------------------------------------------------------------------------------------


def _all(parts: Sequence[ConditionKeys]) -> ConditionKeys:
    return _mix("all", parts, _both)


def _any(parts: Sequence[ConditionKeys]) -> ConditionKeys:
    return _mix("any", parts, _either)


def _mix(
    kind: str,
    parts: Sequence[ConditionKeys],
    merge: Callable[[ConditionKeys, ConditionKeys], ConditionKeys | None],
) -> ConditionKeys:
    """Join conditions, mixes within mixes; neighbours that one condition can say become one."""
    flat = [inner for part in parts for inner in part.get(kind, [part])]
    joined = [flat[0]]
    for part in flat[1:]:
        merged = merge(joined[-1], part)
        joined[-1:] = [joined[-1], part] if merged is None else [merged]
    return joined[0] if len(joined) == 1 else {kind: joined}


def _not(condition: ConditionKeys) -> ConditionKeys:
    inner: ConditionKeys | None = condition.get("not")
    return {"not": condition} if inner is None else inner


def _either(one: ConditionKeys, other: ConditionKeys) -> ConditionKeys | None:
    return _words(one, other, "any")


def _both(one: ConditionKeys, other: ConditionKeys) -> ConditionKeys | None:
    for kind in ("numeric", "length"):
        if kind in one and kind in other:
            bounds = set(_BOUNDS.values())
            apart = not bounds & one[kind].keys() & other[kind].keys()
            if apart and _but(one[kind], bounds) == _but(other[kind], bounds):
                return {kind: {**_but(one[kind], {"on_null"}), **other[kind]}}
    return _words(one, other, "all")


def _words(one: ConditionKeys, other: ConditionKeys, key: str) -> ConditionKeys | None:
    """Return one condition on the words of two, if they look the same way at the same field."""
    if "keyword" not in one or "keyword" not in other:
        return None
    parts = one["keyword"], other["keyword"]
    lists = [part.get(key) or (part["any"] if len(part.get("any", ())) == 1 else None)
             for part in parts]  # fmt: skip
    if None in lists or len({str(_but(part, {"any", "all"})) for part in parts}) > 1:
        return None
    words = [word for some in lists for word in some or ()]
    return {"keyword": {"field": parts[0]["field"], key: words, **_but(parts[0], {"any", "all"})}}


def _but(condition: ConditionKeys, keys: Collection[str]) -> ConditionKeys:
    return {key: value for key, value in condition.items() if key not in keys}


# -- Conditions -------------------------------------------------------------------------------


def _condition(node: Node) -> ConditionKeys:
    writer = _WRITERS.get(type(node))
    if writer is None:
        raise Untranslatable(f"no template can express {type(node).__name__.lower()}")
    condition: ConditionKeys = writer(node)
    return condition


def _of_mix(node: LiftedMix) -> ConditionKeys:
    if not node.parts:
        raise Untranslatable("part of it is true of every record, or of none")
    parts = [_condition(part) for part in node.parts]
    found = (_all if node.every else _any)(parts)
    return _not(found) if node.negated else found


def _field(ref: ColumnRef) -> str:
    if isinstance(ref, str):
        return ref
    raise Untranslatable("it reads the output of a preprocessor")


def _leaf(ref: ColumnRef, **keys: Any) -> ConditionKeys:
    """Return the keys of a condition on a text or a number: Python fails on null there."""
    return {"field": _field(ref), **keys, "on_null": "error"}


def _plain(text: LiftedText) -> LiftedText:
    if text.methods:
        raise Untranslatable(f"no template can test a string this way after .{text.methods[-1]}()")
    return text


def _of_token(node: Token) -> ConditionKeys:
    return _regex(_plain(node.text), rf"(?<!\S){re.escape(node.word)}(?!\S)")


def _of_word(node: Contains) -> ConditionKeys:
    if node.text.methods == ("lower",):
        if node.word != node.word.lower():
            raise Untranslatable(
                f"{node.word!r} has upper-case letters, but the string is in lower case"
            )
        return {"keyword": _leaf(node.text.ref, any=[node.word])}
    return {"keyword": _leaf(_plain(node.text).ref, any=[node.word], case=True)}


def _of_search(node: Search) -> ConditionKeys:
    """Return the pattern with the flags and anchors that `re.search` needs to find the same."""
    text, pattern = _plain(node.text), node.pattern
    meant = re.compile(pattern.pattern, pattern.flags).flags
    if pattern.mode is not Mode.SEARCH and meant & re.VERBOSE:
        raise Untranslatable("it matches a verbose pattern at the start of the string")
    # `re.compile("spam", re.I | re.A)` is written `(?a)spam` with `case: false`.
    letters = "".join(f for f in "amsx" if meant & getattr(re, f.upper()))
    body = _GROUPS[pattern.mode].format(pattern.pattern)
    for written in (body, f"(?{letters}){body}"):
        if _flags(written, re.IGNORECASE if meant & re.IGNORECASE else 0) == meant:
            return _regex(text, written, case=not meant & re.IGNORECASE)
    raise Untranslatable("its pattern has flags that a template cannot express")


def _flags(pattern: str, flags: int) -> int | None:
    try:
        return re_compile(pattern, flags).flags
    except re.error:
        return None


def _regex(text: LiftedText, pattern: str, *, case: bool = True) -> ConditionKeys:
    return {"regex": _leaf(text.ref, pattern=pattern, **({"case": True} if case else {}))}


def _of_text_test(node: TextTest) -> ConditionKeys:
    constants = _compared(node.test)
    if constants is not None:
        return _of_lookup(node.text, constants)
    name, *arguments = _call_of(node.test)
    if name not in {"startswith", "endswith"}:
        raise Untranslatable(f"no template can express `{name}` of a string")
    (given,) = arguments
    words = "|".join(map(re.escape, given if isinstance(given, tuple) else (given,)))
    written = rf"\A(?:{words})" if name == "startswith" else rf"(?:{words})\Z"
    return _regex(_plain(node.text), written)


def _call_of(test: Any) -> Sequence[Any]:
    """Return the name of the method of `str` that a test calls, and its arguments."""
    if isinstance(test, operator.methodcaller):
        call: Sequence[Any] = test.__reduce__()[1]
        return call
    return ("in",)


def _compared(test: Any) -> Collection[Any] | None:
    """Return the constants that a test compares with."""
    if isinstance(test, partial) and test.func is operator.eq:
        return test.args
    owner = getattr(test, "__self__", None)
    if isinstance(owner, tuple | frozenset) and test.__name__ == "__contains__":
        return owner
    return None


def _of_lookup(text: LiftedText, constants: Collection[Any]) -> ConditionKeys:
    case = _STRIPPED.get(text.methods)
    if case is None:
        raise Untranslatable("no template can compare a string after " + _called(text))
    values = sorted({value for value in constants if type(value) is str})
    folded = all(v and v == v.strip() and (case or v == v.lower()) for v in values)
    if not values or not folded:
        raise Untranslatable(
            "it compares with a string that cannot be the result of " + _called(text)
        )
    return {"lookup": _leaf(text.ref, values=values, **({"case": True} if case else {}))}


def _called(text: LiftedText) -> str:
    return "".join(f".{method}()" for method in text.methods)


def _of_comparison(node: Compares) -> ConditionKeys:
    key, bound = _BOUNDS[node.test], node.bound
    if not math.isfinite(bound) or abs(bound) >= MOST_EXACT:
        raise Untranslatable(f"{bound} cannot be a bound in a template")
    if isinstance(node.number, FieldNumber):
        if key in {"equals", "not_equals"}:  # Python has no error there, whatever is compared
            same = _one_of(node.number.ref, [bound])
            return same if key == "equals" else _not(same)
        return {"numeric": _leaf(node.number.ref, **{key: bound})}
    if isinstance(node.number, LiftedLength):
        if node.number.words and _KEEPS_WORDS.issuperset(node.number.text.methods):
            return {"length": _leaf(node.number.text.ref, unit="words", **{key: bound})}
        return {"length": _leaf(_plain(node.number.text).ref, **{key: bound})}
    raise Untranslatable("it counts or finds a position, which no template can express")


def _of_value_test(node: ValueTest) -> ConditionKeys:
    if node.test is operator.truth:
        return _not(_any([_null(node.ref), _one_of(node.ref, ["", 0])]))
    if isinstance(node.test, partial) and node.test.func is operator.is_:
        return _null(node.ref)
    constants = _compared(node.test)
    if not constants:
        raise Untranslatable("part of it is true of every record, or of none")
    plain = [constant for constant in constants if constant is not None]
    parts = [_null(node.ref)] if len(plain) < len(constants) else []
    return _any([*parts, *([_one_of(node.ref, plain)] if plain else [])])


def _null(ref: ColumnRef) -> ConditionKeys:
    return {"is_null": {"field": _field(ref)}}


def _one_of(ref: ColumnRef, constants: Collection[Any]) -> ConditionKeys:
    listed = [twin for constant in constants for twin in _twins(constant)]
    apart = {(type(value) is bool, type(value) is str, value): value for value in listed}
    values = [apart[key] for key in sorted(apart, key=lambda key: (*key[:2], str(key[2])))]
    return {"categorical": {"field": _field(ref), "one_of": values}}


def _twins(constant: Any) -> Iterator[Any]:
    """Yield what Python takes for the same: 1, 1.0 and True are one, a template tells true."""
    if isinstance(constant, float) and not math.isfinite(constant):
        raise Untranslatable(f"{constant} cannot be a value in a template")
    yield constant
    if type(constant) is not str and constant in {0, 1}:
        yield from (bool(constant), int(constant))


_WRITERS: Final[dict[type[Node], Callable[[Any], ConditionKeys]]] = {
    LiftedMix: _of_mix,
    Token: _of_token,
    Contains: _of_word,
    Search: _of_search,
    TextTest: _of_text_test,
    Compares: _of_comparison,
    ValueTest: _of_value_test,
}
"""Conditions that templates can express, and the function that writes each."""
