"""Conditions and decisions read from the source of Python LFs, evaluated on whole columns.

What a condition reads must be of the kind it was made for: every other record goes to the Python
function itself, so that its errors, and whatever it does with odd values, are its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from typing_extensions import override

from tidegauge_probes.columns.batch import Batch, ColumnRef
from tidegauge_probes.columns.column import PLAIN, Column
from tidegauge_probes.columns.needles import Needle
from tidegauge_probes.columns.patterns import Pattern
from tidegauge_probes.columns.texts import Mask, Texts
from tidegauge_probes.model import Outcomes


class Kind(Enum):
    """What a value must be for a condition to be decided on its column."""

    TEXT = "a str"
    NUMBER = "an int or float of at most 2⁵³"
    PLAIN = "a str, int, float, bool or None"
    PRESENT = "anything, but there"

    def fits(self, column: Column) -> Mask:
        """Return which values are so, bool [n]."""
        if self is Kind.TEXT:
            return column.is_text
        if self is Kind.NUMBER:
            return column.is_exact
        if self is Kind.PLAIN:
            return column.among(PLAIN)
        return ~column.absent


Read = tuple[ColumnRef, Kind]
"""A column, and what its values must be."""


class Node:
    """A condition, or a number, on columns."""

    parts: Sequence[Node] = ()

    def of(self, batch: Batch) -> Any:
        """Return bool [n] or a number array [n]; where a value is of another kind, anything."""
        raise NotImplementedError

    def needles(self) -> Iterator[tuple[ColumnRef, Needle]]:
        """Yield the words that it looks for, so that one pass can find them all."""
        for part in self.parts:
            yield from part.needles()


@dataclass(frozen=True)
class LiftedText:
    """A field's text, and the methods of `str` without arguments called on it one by one."""

    ref: ColumnRef
    methods: tuple[str, ...] = ()

    def of(self, batch: Batch) -> Texts:
        return batch.texts(self.ref, self.methods)

    @property
    def in_pass(self) -> bool:
        """Whether one pass finds its words together with all others."""
        return self.methods in {(), ("lower",)}


@dataclass(frozen=True)
class _OfText(Node):
    text: LiftedText


@dataclass(frozen=True)
class Contains(_OfText):
    """`word in text`; the word is not empty."""

    word: str

    @override
    def of(self, batch: Batch) -> Mask:
        for ref, needle in self.needles():
            return batch.hits(ref, needle)
        return np.array([self.word in text for text in self.text.of(batch).values], dtype=np.bool_)

    @override
    def needles(self) -> Iterator[tuple[ColumnRef, Needle]]:
        if self.text.in_pass:
            yield self.text.ref, Needle(self.word, lowered=bool(self.text.methods))


@dataclass(frozen=True)
class Search(_OfText):
    """`re.search(pattern, text)`, or one of its like."""

    pattern: Pattern

    @override
    def of(self, batch: Batch) -> Mask:
        hits = [batch.hits(*needle) for needle in self.needles()]
        odd = batch.texts(self.text.ref).odd if hits else None
        return self.pattern.find(self.text.of(batch), hits, odd)

    @override
    def needles(self) -> Iterator[tuple[ColumnRef, Needle]]:
        if self.text.in_pass:
            words = self.pattern.needles(lowered=bool(self.text.methods))
            yield from ((self.text.ref, word) for word in words)


@dataclass(frozen=True)
class TextTest(_OfText):
    """A question to each text: a method of `str` with constant arguments, or an equality."""

    test: Callable[[str], Any]

    @override
    def of(self, batch: Batch) -> Mask:
        return np.array([self.test(text) for text in self.text.of(batch).values], dtype=np.bool_)


@dataclass(frozen=True)
class LiftedLength(_OfText):
    """`len(text)`, or with *words* `len(text.split())`."""

    words: bool = False

    @override
    def of(self, batch: Batch) -> Any:
        texts = self.text.of(batch)
        return texts.words if self.words else texts.lengths


@dataclass(frozen=True)
class Measure(_OfText):
    """A number asked of each text: a method of `str` with constant arguments."""

    measure: Callable[[str], int]

    @override
    def of(self, batch: Batch) -> Any:
        return np.array([self.measure(text) for text in self.text.of(batch).values], dtype=np.int64)


@dataclass(frozen=True)
class Token(Contains):
    """`word in text.split()`; the word holds no white space, and is not empty."""

    @override
    def of(self, batch: Batch) -> Mask:
        found = super().of(batch).copy()
        for row, text in self.text.of(batch).where(found):
            found[row] = self.word in text.split()
        return found


@dataclass(frozen=True)
class FieldNumber(Node):
    """A field that holds a number."""

    ref: ColumnRef

    @override
    def of(self, batch: Batch) -> Any:
        return batch.column(self.ref).numbers


@dataclass(frozen=True)
class Total(Node):
    """`sum(condition for …)`: how many of some conditions hold."""

    parts: tuple[Node, ...]

    @override
    def of(self, batch: Batch) -> Any:
        return sum((part.of(batch) for part in self.parts), start=np.zeros(len(batch), np.int64))


@dataclass(frozen=True)
class Compares(Node):
    """A number against a constant."""

    number: Node
    test: Callable[[Any, float], Any]
    bound: float

    @property
    @override
    def parts(self) -> Sequence[Node]:  # type: ignore[override]
        return (self.number,)

    @override
    def of(self, batch: Batch) -> Mask:
        held: Mask = self.test(self.number.of(batch), self.bound)
        return held


@dataclass(frozen=True)
class ValueTest(Node):
    """A question to each value: is it true, `None`, equal to a constant, or one of some?"""

    ref: ColumnRef
    kind: Kind
    test: Callable[[Any], Any]

    @override
    def of(self, batch: Batch) -> Mask:
        column = batch.column(self.ref)
        values: Sequence[Any] = column.values
        if self.kind is Kind.PLAIN and not column.types <= PLAIN:
            # Not even looked at: `==` of an unknown type may do anything.
            values = [v if type(v) in PLAIN else None for v in values]
        return np.array([bool(self.test(value)) for value in values], dtype=np.bool_)


@dataclass(frozen=True)
class LiftedMix(Node):
    """All or any of some conditions (*every*, or not); or, *negated*, not so."""

    parts: tuple[Node, ...]
    every: bool = True
    negated: bool = False

    @override
    def of(self, batch: Batch) -> Mask:
        combine = np.logical_and if self.every else np.logical_or
        nothing = np.full(len(batch), self.every, dtype=np.bool_)  # `all([])` is true
        held: Mask = combine.reduce([nothing, *(part.of(batch) for part in self.parts)])
        return ~held if self.negated else held


@dataclass(frozen=True)
class Vote:
    """`return` of a constant that is a vote; *before* that, this is read, and must be so."""

    vote: int
    before: frozenset[Read] = frozenset()


@dataclass(frozen=True)
class Python:
    """Where only the Python function itself knows what it returns, and why."""

    why: str = ""


@dataclass(frozen=True)
class If:
    """A branch; *before* its test this is read (into local names), and must be so."""

    test: Node
    then: Tree
    otherwise: Tree
    before: frozenset[Read] = frozenset()


Tree = Vote | Python | If


@dataclass(frozen=True)
class Lifted:
    """What an LF's source says, where it can be told, and what that relies on."""

    tree: Tree
    reads: frozenset[Read]
    guards: tuple[Callable[[], bool], ...]
    """Checks that each constant in the source still has the value that was read."""

    loose: str | None = None
    """Where the source allows more than the tree does. That is harmless: such records go to
    Python."""

    @property
    def whole(self) -> bool:
        """Whether the source says all, and no record of the usual types goes to Python."""
        return _is_whole(self.tree)

    def stands(self) -> bool:
        """Whether the names in the source still stand for the same constants."""
        return all(guard() for guard in self.guards)


def _is_whole(tree: Tree) -> bool:
    if isinstance(tree, If):
        return _is_whole(tree.then) and _is_whole(tree.otherwise)
    return isinstance(tree, Vote)


def decide(tree: Tree, reads: Iterable[Read], batch: Batch) -> tuple[Outcomes, Mask]:
    """Return int8 [n] votes, and bool [n] of the records that go to Python."""
    votes = np.zeros(len(batch), dtype=np.int8)
    to_python = np.zeros(len(batch), dtype=np.bool_)
    # All that is read anywhere in the tree must fit, on whatever branch: `x.n > 3` of a record in
    # which `n` is a list raises in Python, perhaps, and only Python knows.
    for ref, kind in reads:
        to_python |= ~kind.fits(batch.column(ref))
    _fill(tree, batch, ~to_python, votes, to_python)
    return votes, to_python


def _fill(tree: Tree, batch: Batch, mask: Mask, votes: Outcomes, to_python: Mask) -> None:
    # Tests run on all rows, masks say whom they concern: of `if a: 1 elif b: 0` the vote 0 goes to
    # ~a & b. A test has no effects, so asking too many rows is harmless.
    while isinstance(tree, If):
        held = tree.test.of(batch)
        _fill(tree.then, batch, mask & held, votes, to_python)
        mask, tree = mask & ~held, tree.otherwise
    if isinstance(tree, Vote):
        votes[mask] = tree.vote
    else:
        to_python |= mask


def _tests(tree: Tree) -> Iterator[Node]:
    while isinstance(tree, If):
        yield tree.test
        yield from _tests(tree.then)
        tree = tree.otherwise


def needles(tree: Tree) -> Iterator[tuple[ColumnRef, Needle]]:
    """Yield the words that a decision looks for."""
    for test in _tests(tree):
        yield from test.needles()
