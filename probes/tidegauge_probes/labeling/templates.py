"""Labeling functions without code: conditions on fields, and mixes of them.

A template is a condition and the class it votes for. It abstains where the condition does
not hold. Where it cannot look (the field is not there, or is of the wrong type) its outcome
is an error, as with a Python LF that reads ``x.field``; ``null`` simply does not match.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar, Final, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator

from tidegauge_probes.columns.batch import Batch
from tidegauge_probes.columns.column import Column
from tidegauge_probes.columns.needles import Needle
from tidegauge_probes.columns.patterns import Pattern
from tidegauge_probes.columns.texts import Mask
from tidegauge_probes.compat import re_compile
from tidegauge_probes.documents.spec import ExactSpec
from tidegauge_probes.errors import ProbeError
from tidegauge_probes.model import ABSENT

Faults = dict[int, tuple[str, str]]
"""Row → (type, message) of records on which a condition could not be evaluated."""

_FIELD = Field(default="text", description="Path of the field, e.g. `text` or `payload.body`.")
_Text = Annotated[str, Field(min_length=1)]  # an empty one would be in every text
_Scalar = bool | int | float | str
_Texts = Annotated[list[_Text], Field(min_length=1)]


class _Leaf(ExactSpec):
    """A condition on one field."""

    field: str = _FIELD

    def holds(self, batch: Batch) -> tuple[Mask, Faults]:
        """Return where the condition holds, and why it could not be decided elsewhere."""
        raise NotImplementedError

    def needles(self) -> Iterator[Needle]:
        """Yield the words that it will look for in the texts of its field."""
        yield from ()

    def _fault(self, value: Any, wants: str) -> tuple[str, str]:
        if value is ABSENT:
            return "missing_field", f"the record has no field '{self.field}'"
        kind = "null" if value is None else type(value).__name__
        return "wrong_type", f"field '{self.field}' is {kind}, not {wants}"


class _Typed(_Leaf):
    """A condition on values of some types."""

    # Not given is left out of the ProbeSet's hash: older files keep their id.
    on_null: Literal["error"] | None = Field(
        default=None, description=("`error`: null is an error. If not given, null does not match.")
    )

    def holds(self, batch: Batch) -> tuple[Mask, Faults]:
        column = batch.column(self.field)
        mask = self._test(batch, column)
        if column.types <= self._reads:
            return mask, {}
        readable = column.among(self._reads)
        unfit = ((row, column.values[row]) for row in np.flatnonzero(~readable).tolist())
        failing = (each for each in unfit if each[1] is not None or self.on_null == "error")
        return mask & readable, {row: self._fault(v, self._wants) for row, v in failing}

    _wants: ClassVar[str] = "a string"
    _reads: ClassVar[frozenset[type]] = frozenset({str})

    def _test(self, batch: Batch, column: Column) -> Mask:
        """Return where it holds, bool [n]; where the value is of another type, anything."""
        raise NotImplementedError


class Keyword(_Typed):
    """Any (or all) of some words or phrases occur in a text."""

    EXACTLY_ONE: ClassVar[tuple[str, ...]] = ("any", "all")

    any: _Texts | None = None
    all: _Texts | None = None
    whole_word: bool = Field(default=False, description="Match whole words only.")
    case: bool = Field(default=False, description="Match upper and lower case exactly.")

    def needles(self) -> Iterator[Needle]:
        for word in self.any or self.all or []:
            yield Needle(
                word if self.case else word.lower(), lowered=not self.case, whole=self.whole_word
            )

    def _test(self, batch: Batch, column: Column) -> Mask:
        del column
        combine = np.logical_or if self.any else np.logical_and
        found: Mask = combine.reduce([batch.hits(self.field, needle) for needle in self.needles()])
        return found


class Regex(_Typed):
    """A regular expression of Python's `re` is found in a text."""

    pattern: str
    case: bool = Field(default=False, description="Match upper and lower case exactly.")

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re_compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            msg = f"not a regular expression: {error}"
            raise ValueError(msg) from error
        return pattern

    @cached_property
    def _wanted(self) -> Pattern:
        return Pattern(self.pattern, 0 if self.case else re.IGNORECASE)

    def needles(self) -> Iterator[Needle]:
        """Yield the literals without which it is not found."""
        yield from self._wanted.needles()

    def _test(self, batch: Batch, column: Column) -> Mask:
        hits = [batch.hits(self.field, needle) for needle in self.needles()]
        return self._wanted.find(column.texts, hits, column.texts.odd)


_BOUNDS: Final[Mapping[str, Callable[[Any, float], Mask]]] = {
    "above": np.greater, "at_least": np.greater_equal, "below": np.less,
    "at_most": np.less_equal, "equals": np.equal, "not_equals": np.not_equal,
}  # fmt: skip


class _Bounds(_Typed):
    """Comparisons that a number must all satisfy."""

    AT_LEAST_ONE: ClassVar[tuple[str, ...]] = tuple(_BOUNDS)

    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None
    equals: float | None = None
    not_equals: float | None = None

    def _within(self, numbers: npt.NDArray[Any]) -> Mask:
        given = ((test, getattr(self, name)) for name, test in _BOUNDS.items())
        held = [test(numbers, bound) for test, bound in given if bound is not None]
        every: Mask = np.logical_and.reduce(held)
        return every


class Numeric(_Bounds):
    """A number lies within bounds."""

    _wants: ClassVar[str] = "a number"
    _reads: ClassVar[frozenset[type]] = frozenset({int, float})

    def _test(self, batch: Batch, column: Column) -> Mask:
        del batch
        return self._within(column.numbers)


class Length(_Bounds):
    """A text's length, in characters or in words separated by white space, lies within bounds."""

    unit: Literal["characters", "words"] = "characters"

    def _test(self, batch: Batch, column: Column) -> Mask:
        del batch
        texts = column.texts
        return self._within(texts.lengths if self.unit == "characters" else texts.words)


class Categorical(_Typed):
    """A value (a text, a number, true or false) is one of some, or none of them."""

    EXACTLY_ONE: ClassVar[tuple[str, ...]] = ("one_of", "none_of")

    one_of: Annotated[list[_Scalar], Field(min_length=1)] | None = None
    none_of: Annotated[list[_Scalar], Field(min_length=1)] | None = None

    _wants: ClassVar[str] = "a string, a number, true or false"
    _reads: ClassVar[frozenset[type]] = frozenset({str, int, float, bool})

    def _test(self, batch: Batch, column: Column) -> Mask:
        del batch
        # True is not 1 here: JSON tells them apart, and so do people.
        wanted = {(type(v) is bool, v) for v in self.one_of or self.none_of or ()}
        found = [
            type(v) in self._reads and ((type(v) is bool, v) in wanted) is bool(self.one_of)
            for v in column.values
        ]
        return np.array(found, dtype=np.bool_)


class Lookup(_Typed):
    """A text, white space around it left out, is in a list or in a file with one a line."""

    EXACTLY_ONE: ClassVar[tuple[str, ...]] = ("values", "file")

    values: _Texts | None = None
    file: str | None = Field(default=None, description="Path relative to the ProbeSet's file.")
    case: bool = Field(default=False, description="Match upper and lower case exactly.")

    @cached_property
    def _wanted(self) -> frozenset[str]:
        if self.values is None:  # the loader replaces a file by what is in it
            msg = f"lookup file '{self.file}': only a ProbeSet's file can refer to files"
            raise ProbeError(msg)
        return frozenset(self._folded(value) for value in self.values)

    def _folded(self, value: str) -> str:
        return value.strip() if self.case else value.strip().lower()

    def _test(self, batch: Batch, column: Column) -> Mask:
        del batch
        found = [self._folded(text) in self._wanted for text in column.texts.values]
        return np.array(found, dtype=np.bool_)


class Missing(_Leaf):
    """A field is absent, null, or an empty text."""

    def holds(self, batch: Batch) -> tuple[Mask, Faults]:
        """Return where the field is missing; this can always be decided."""
        return batch.column(self.field).missing.copy(), {}


class IsNull(_Leaf):
    """A field is there, and null."""

    def holds(self, batch: Batch) -> tuple[Mask, Faults]:
        """Return where the field is null; of a record without the field it cannot be said."""
        column = batch.column(self.field)
        mask = np.array([value is None for value in column.values], dtype=np.bool_)
        gone = np.flatnonzero(column.absent).tolist()
        return mask, {row: self._fault(ABSENT, "null") for row in gone}


LEAVES = ("keyword", "regex", "numeric", "length", "categorical", "lookup", "missing", "is_null")
CONDITIONS = (*LEAVES, "all", "any", "not_")


class Condition(ExactSpec):
    """Exactly one of the conditions below; all, any and not nest."""

    EXACTLY_ONE: ClassVar[tuple[str, ...]] = CONDITIONS

    keyword: Keyword | None = None
    regex: Regex | None = None
    numeric: Numeric | None = None
    length: Length | None = None
    categorical: Categorical | None = None
    lookup: Lookup | None = None
    missing: Missing | None = None
    is_null: IsNull | None = None
    all: Annotated[list[Condition], Field(min_length=1)] | None = None
    any: Annotated[list[Condition], Field(min_length=1)] | None = None
    not_: Condition | None = Field(default=None, alias="not")

    def document(self) -> dict[str, Any]:
        """Return the condition as in a file, every default written out; name and class left out."""
        named = {"name", "label", "description"}
        return self.model_dump(by_alias=True, exclude_none=True, exclude=named)

    @property
    def leaf(self) -> _Leaf | None:
        """The condition on one field; None of a mix."""
        return next((leaf for name in LEAVES if (leaf := getattr(self, name)) is not None), None)

    def needles(self) -> Iterator[tuple[str, Needle]]:
        """Yield (field, word) of all that it will look for."""
        leaf = self.keyword or self.regex
        if leaf is not None:
            yield from ((leaf.field, needle) for needle in leaf.needles())
        parts = [*(self.all or ()), *(self.any or ()), *([self.not_] if self.not_ else ())]
        for part in parts:
            yield from part.needles()

    def fields(self) -> Iterator[str]:
        """Yield the paths of all fields that it reads."""
        leaf = self.leaf
        if leaf is not None:
            yield leaf.field
        for part in (*(self.all or ()), *(self.any or ()), *([self.not_] if self.not_ else ())):
            yield from part.fields()

    def holds(self, batch: Batch) -> tuple[Mask, Faults]:
        """Return where the condition holds, and where and why it could not be decided.

        Mixes stop early as Python's ``and`` and ``or`` do: in ``all: [a, b]`` a fault of *b*
        counts only where *a* holds, so ``not missing`` guards what follows it.
        """
        leaf = self.leaf
        if leaf is not None:
            return leaf.holds(batch)
        if self.not_ is not None:
            mask, faults = self.not_.holds(batch)
            return _without(~mask, faults), faults
        if self.all is not None:
            return _mix(self.all, batch, stop=False)
        return _mix(self.any or [], batch, stop=True)


def _without(mask: Mask, faults: Faults) -> Mask:
    mask[list(faults)] = False
    return mask


def _mix(parts: list[Condition], batch: Batch, *, stop: bool) -> tuple[Mask, Faults]:
    """Fold *parts* left to right; a record is settled once a part says *stop* or fails."""
    decided = np.zeros(len(batch), dtype=np.bool_)
    result = np.full(len(batch), not stop, dtype=np.bool_)
    faults: Faults = {}
    for part in parts:
        mask, failed = part.holds(batch)
        fresh = {row: why for row, why in failed.items() if not decided[row]}
        faults.update(fresh)
        decided[list(fresh)] = True
        deciding = ~decided & (mask == stop)
        result[deciding] = stop
        decided |= deciding
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
