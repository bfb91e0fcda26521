"""One field of a batch: its values, also as texts and as numbers, computed on first use."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.columns.texts import Mask, Texts
from tidegauge_probes.model import ABSENT, Absent

_NUMBERS: Final = frozenset({int, float})

PLAIN: Final[frozenset[type]] = frozenset({str, int, float, bool, type(None)})
"""Types whose values can be compared and hashed without running user code."""

MOST_EXACT: Final = 2.0**53
"""Larger integers may not be exact as floats."""


class Column:
    """*n* values, ``ABSENT`` where a record has none."""

    def __init__(self, values: list[Any]) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def types(self) -> set[type]:
        """The types that occur; most columns then need no check per value."""
        return set(map(type, self.values))

    def among(self, types: Iterable[type]) -> Mask:
        """Return which values have exactly one of these types, bool [n]."""
        wanted = frozenset(types)
        if self.types <= wanted:
            return np.ones(len(self), dtype=np.bool_)
        if self.types.isdisjoint(wanted):
            return np.zeros(len(self), dtype=np.bool_)
        return np.array([type(value) in wanted for value in self.values], dtype=np.bool_)

    @cached_property
    def absent(self) -> Mask:
        """Which values are absent, bool [n]."""
        return self.among((Absent,))

    @cached_property
    def is_text(self) -> Mask:
        """Which values are texts, bool [n]."""
        return self.among((str,))

    @cached_property
    def texts(self) -> Texts:
        """The texts; "" where a value is not a text."""
        return Texts(self.values, sure=self.types <= {str})

    @cached_property
    def is_number(self) -> Mask:
        """Which values are integers or floats (and not booleans), bool [n]."""
        return self.among(_NUMBERS)

    @cached_property
    def numbers(self) -> npt.NDArray[np.float64]:
        """The nearest floats, float64 [n]; NaN where a value is not a number."""
        values = self.values
        if not self.types <= _NUMBERS:
            values = [value if type(value) in _NUMBERS else math.nan for value in values]
        try:
            return np.array(values, dtype=np.float64)
        except OverflowError:
            return np.array([_as_float(value) for value in values], dtype=np.float64)

    @cached_property
    def is_exact(self) -> Mask:
        """Which values are numbers that ``numbers`` holds exactly, bool [n]."""
        small: Mask = ~(np.abs(self.numbers) > MOST_EXACT)  # NaN counts as exact
        return self.is_number & small

    @cached_property
    def missing(self) -> Mask:
        """Which values are absent, null, or an empty text, bool [n]."""
        if self.types <= {str}:
            empty: Mask = self.texts.lengths == 0
            return empty
        gone = [v is ABSENT or v is None or v == "" for v in self.values]
        return np.array(gone, dtype=np.bool_).reshape(len(self))


def _as_float(number: float) -> float:
    """Return the nearest float; JSON allows integers beyond the largest."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf
