"""Records, votes and outcomes: the values every probe works on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

ABSTAIN: Final = -1
"""Vote of an LF that has no opinion (Snorkel's −1)."""

ERROR: Final = -2
"""Outcome of an LF that failed: not a vote, and never counted as an abstain."""

MAX_CLASSES: Final = 120
"""Outcomes are int8; 120 classes leave room for the two codes below zero."""


class Absent:
    """Marks a field that a record does not have (``None`` is a value like any other)."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = Absent()


Fields = Mapping[str, Any]
Outcomes = npt.NDArray[np.int8]


class Record(msgspec.Struct, frozen=True, gc=False):
    """One event of live traffic.

    ``timestamp_ms`` is its event time (UTC, epoch milliseconds); ``partition`` and ``offset``
    say where in the source it stands.
    """

    id: str
    timestamp_ms: int
    fields: Fields
    partition: int = 0
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """Why LF *probe* (its column) failed on record *row*: exception type and message.

    The type is ``invalid_vote`` where the LF returned something that is not a vote.
    """

    probe: int
    row: int
    type: str
    message: str


@dataclass(frozen=True, slots=True)
class VoteMatrix:
    """Outcomes of *m* LFs on *n* records (Λ or L of the literature).

    ``outcomes``: int8 [n, m], a class index, ``ABSTAIN`` or ``ERROR``. ``segments``: bool [n, s],
    column *j* marks the records of slicing function *j*. ``seconds``: float64 [m], time spent in
    each LF over the batch.
    """

    outcomes: Outcomes
    segments: npt.NDArray[np.bool_]
    seconds: npt.NDArray[np.float64]
    faults: Sequence[Fault] = field(default=())

    @property
    def votes(self) -> Outcomes:
        """The outcomes with failures shown as abstains: what Snorkel's fault-tolerant L holds."""
        return np.maximum(self.outcomes, np.int8(ABSTAIN))


def lookup(fields: Fields, path: str, default: Any = None) -> Any:
    """Return the value at a dotted path (``payload.body``), or *default* where there is none.

    A key that itself holds the dots wins over the nested reading.
    """
    if path in fields:
        return fields[path]
    value: Any = fields
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return default
        value = value[part]
    return value


@dataclass(frozen=True)
class Layout:
    """Names and order of what counts are counted over; two equal layouts can be compared."""

    probes: tuple[str, ...]
    classes: tuple[str, ...]
    labels: tuple[tuple[int, ...], ...]
    """For each probe the classes it can vote for (all, where only running it tells)."""
