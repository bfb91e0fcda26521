"""Labeling functions without code: keyword, regex, numeric, length, missing, all/any/not.

A template is a condition and the class it votes for. It abstains where the condition does
not hold. Where it cannot look (the field is not there, or is of the wrong type) its outcome
is an error, as with a Python LF that reads ``x.field``; ``null`` simply does not match.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator, model_validator

from tidegauge_probes.batch import ABSENT, Batch
from tidegauge_probes.literals import required
from tidegauge_probes.spec import Spec

Mask = npt.NDArray[np.bool_]
Faults = dict[int, tuple[str, str]]
"""Row → (type, message) of records on which a condition could not be decided."""

_FIELD = Field(default="text", description="Path of the field, e.g. `text` or `payload.body`.")
_Text = Annotated[str, Field(min_length=1)]  # an empty one would be in every text
_Texts = Annotated[list[_Text], Field(min_length=1)]


@dataclass(frozen=True)
class _Look:
    """What the batch knows of some rows of a field (``None``: of all)."""

    batch: Batch
    field: str
    rows: list[int] | None = None

    def hits(self, word: str) -> Mask | None:
        """Return which lowered texts hold *word*; None if it must be looked for."""
        hits = self.batch.hits(self.field, word)
        return hits if hits is None or self.rows is None else hits[self.rows]

    def odd(self) -> Mask:
        """Return where lower case tells nothing."""
        odd = self.batch.odd(self.field)
        return odd if self.rows is None else odd[self.rows]


class _Leaf(Spec):
    """A condition on one field."""

    field: str = _FIELD

    def holds(self, batch: Batch) -> tuple[Mask, Faults]:
        """Return where the condition holds, and why it could not be decided elsewhere."""
        column = self._column(batch)
        if batch.types(self.field) <= self._reads:
            look = _Look(batch, self.field)
            return np.array(self._test(column, look), dtype=np.bool_), {}
        mask = np.zeros(len(batch), dtype=np.bool_)
        rows = [row for row, value in enumerate(column) if type(value) in self._reads]
        if rows:
            look = _Look(batch, self.field, rows)
            mask[rows] = self._test([column[row] for row in rows], look)
        unread = set(range(len(column))).difference(rows)
        faults = {row: self._fault(column[row]) for row in unread if column[row] is not None}
        return mask, faults

    _wants: ClassVar[str] = "a text"
    _reads: ClassVar[frozenset[type]] = frozenset({str})

    def _fault(self, value: Any) -> tuple[str, str]:
        if value is ABSENT:
            return "missing_field", f"the record has no field '{self.field}'"
        return "wrong_type", f"field '{self.field}' is {type(value).__name__}, not {self._wants}"

    def _column(self, batch: Batch) -> list[Any]:
        return batch.column(self.field)

    def words(self) -> Iterator[str]:
        """Yield what it will look for in the lowered texts of its field."""
        yield from ()

    def _test(self, values: list[Any], look: _Look) -> Sequence[bool] | Mask:
        raise NotImplementedError


class Keyword(_Leaf):
    """Any (or all) of some words or phrases occur in a text."""

    any: _Texts | None = None
    all: _Texts | None = None
    whole_word: bool = Field(default=False, description="Match whole words only.")
    case: bool = Field(default=False, description="Tell upper from lower case.")

    @model_validator(mode="after")
    def _one_list(self) -> Self:
        if (self.any is None) == (self.all is None):
            msg = "give either `any: [...]` or `all: [...]`"
            raise ValueError(msg)
        return self

    def _column(self, batch: Batch) -> list[Any]:
        return batch.column(self.field) if self.case else batch.lowered(self.field)

    def words(self) -> Iterator[str]:
        """Yield its words; where case counts, only those whose lower case is sure."""
        for word in self.any or self.all or []:
            if word.isascii() or not self.case:
                yield word.lower()

    def _test(self, values: list[Any], look: _Look) -> Sequence[bool] | Mask:
        words = self.any or self.all or []
        combine = np.logical_or if self.any else np.logical_and
        found: Mask = combine.reduce([self._found(word, values, look) for word in words])
        return found

    def _found(self, word: str, values: list[Any], look: _Look) -> Mask:
        needle = word if self.case else word.lower()
        hits = look.hits(word.lower()) if word.isascii() or not self.case else None
        if hits is None:
            found = np.array([needle in text for text in values], dtype=np.bool_)
        else:
            found = hits.copy()
            if self.case:
                for row in np.flatnonzero(found):
                    found[row] = needle in values[row]
        if self.whole_word:
            # After `in`, which is some ten times faster than a search that finds nothing.
            search = re.compile(rf"(?<!\w){re.escape(needle)}(?!\w)").search
            for row in np.flatnonzero(found):
                found[row] = search(values[row]) is not None
        return found


class Regex(_Leaf):
    """A regular expression of Python's `re` is found in a text."""

    pattern: str
    case: bool = Field(default=False, description="Tell upper from lower case.")

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            msg = f"not a regular expression: {error}"
            raise ValueError(msg) from error
        return pattern

    def words(self) -> Iterator[str]:
        """Yield the literals without which it is not found."""
        yield from required(self.pattern, ignore_case=not self.case) or ()

    def _test(self, values: list[Any], look: _Look) -> Sequence[bool] | Mask:
        search = re.compile(self.pattern, 0 if self.case else re.IGNORECASE).search
        likely = self._likely(look)
        if likely is None:
            return [search(text) is not None for text in values]
        for row in np.flatnonzero(likely):
            likely[row] = search(values[row]) is not None
        return likely

    def _likely(self, look: _Look) -> Mask | None:
        """Return where `re` must look; None if everywhere."""
        literals = required(self.pattern, ignore_case=not self.case)
        hits = [look.hits(literal) for literal in literals or ()]
        known = [mask for mask in hits if mask is not None]
        if not known or len(known) < len(hits):
            return None
        likely: Mask = np.logical_or.reduce([*known, look.odd()])
        return likely


class _Bounds(_Leaf):
    """Comparisons that a number must all satisfy."""

    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None
    equals: float | None = None
    not_equals: float | None = None

    @model_validator(mode="after")
    def _some_bound(self) -> Self:
        if not self._bounds():
            msg = "give one of above, at_least, below, at_most, equals, not_equals"
            raise ValueError(msg)
        return self

    def _bounds(self) -> list[tuple[Any, float]]:
        compare = (np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal)
        given = (
            self.above,
            self.at_least,
            self.below,
            self.at_most,
            self.equals,
            self.not_equals,
        )
        return [(f, bound) for f, bound in zip(compare, given, strict=True) if bound is not None]

    def _within(self, numbers: npt.NDArray[np.float64]) -> Mask:
        mask = np.ones(len(numbers), dtype=np.bool_)
        for compare, bound in self._bounds():
            mask &= compare(numbers, bound)
        return mask


class Numeric(_Bounds):
    """A number lies within bounds."""

    _wants: ClassVar[str] = "a number"
    _reads: ClassVar[frozenset[type]] = frozenset({int, float})

    def _test(self, values: list[Any], look: _Look) -> Sequence[bool] | Mask:
        del look
        try:
            return self._within(np.array(values, dtype=np.float64))
        except OverflowError:
            return self._within(np.array([_as_float(value) for value in values], np.float64))


def _as_float(number: float) -> float:
    """Return the nearest float; JSON knows integers beyond the largest."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


class Length(_Bounds):
    """A text's length, in characters or in words separated by white space, lies within bounds."""

    unit: Literal["characters", "words"] = "characters"

    def _test(self, values: list[Any], look: _Look) -> Sequence[bool] | Mask:
        if self.unit == "characters":
            return self._within(np.array([len(text) for text in values], np.float64))
        if look.rows is None:
            return self._within(np.array(look.batch.words(self.field), np.float64))
        return self._within(np.array([len(text.split()) for text in values], np.float64))


class Missing(_Leaf):
    """A field is absent, null, or an empty text."""

    def holds(self, batch: Batch) -> tuple[Mask, Faults]:
        """Return where the field is missing; this can always be decided."""
        gone = [v is ABSENT or v is None or v == "" for v in batch.column(self.field)]
        return np.array(gone, dtype=np.bool_).reshape(len(batch)), {}


class Condition(Spec):
    """Exactly one of the conditions below; all, any and not nest."""

    keyword: Keyword | None = None
    regex: Regex | None = None
    numeric: Numeric | None = None
    length: Length | None = None
    missing: Missing | None = None
    all: Annotated[list[Condition], Field(min_length=1)] | None = None
    any: Annotated[list[Condition], Field(min_length=1)] | None = None
    not_: Condition | None = Field(default=None, alias="not")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [name for name in CONDITIONS if getattr(self, name) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            shown = ", ".join(name.rstrip("_") for name in CONDITIONS)
            msg = f"give exactly one of {shown} (found {found})"
            raise ValueError(msg)
        return self

    def words(self) -> Iterator[tuple[str, str]]:
        """Yield (field, word) of all that it will look for."""
        leaf = self.keyword or self.regex
        if leaf is not None:
            yield from ((leaf.field, word) for word in leaf.words())
        parts = [*(self.all or ()), *(self.any or ()), *([self.not_] if self.not_ else ())]
        for part in parts:
            yield from part.words()

    def holds(self, batch: Batch) -> tuple[Mask, Faults]:
        """Return where the condition holds, and where and why it could not be decided.

        Mixes stop early as Python's ``and`` and ``or`` do: in ``all: [a, b]`` a fault of *b*
        counts only where *a* holds, so ``not missing`` guards what follows it.
        """
        leaf = self.keyword or self.regex or self.numeric or self.length or self.missing
        if leaf is not None:
            return leaf.holds(batch)
        if self.not_ is not None:
            mask, faults = self.not_.holds(batch)
            return _without(~mask, faults), faults
        if self.all is not None:
            return _mix(self.all, batch, stop=False)
        return _mix(self.any or [], batch, stop=True)


CONDITIONS = ("keyword", "regex", "numeric", "length", "missing", "all", "any", "not_")


def _without(mask: Mask, faults: Faults) -> Mask:
    mask[list(faults)] = False
    return mask


def _mix(parts: list[Condition], batch: Batch, *, stop: bool) -> tuple[Mask, Faults]:
    """Fold *parts* left to right; a record is settled once a part says *stop* or fails."""
    settled = np.zeros(len(batch), dtype=np.bool_)
    result = np.full(len(batch), not stop, dtype=np.bool_)
    faults: Faults = {}
    for part in parts:
        mask, failed = part.holds(batch)
        fresh = {row: why for row, why in failed.items() if not settled[row]}
        faults.update(fresh)
        settled[list(fresh)] = True
        deciding = ~settled & (mask == stop)
        result[deciding] = stop
        settled |= deciding
    return _without(result, faults), faults


class TemplateSpec(Condition):
    """A labeling function as people write it: a condition, a name, and the class it votes for."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    label: str | int = Field(description="Class name or index that the LF votes for.")
    description: str = ""


class SliceSpec(Condition):
    """A slicing function as people write it: a condition and a name."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    description: str = ""
