"""Which segments a record belongs to: slices, and values of ``segment_by`` fields."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.findings import MISSING, OTHER
from tidegauge_probes.model import Fields, VoteMatrix, lookup

Mask = npt.NDArray[np.bool_]
MAX_VALUE_LENGTH: Final = 100


def memberships(
    records: Sequence[Fields],
    fields: Sequence[str],
    matrix: VoteMatrix,
    slices: Sequence[str],
    *,
    known: Collection[str],
    cap: int,
) -> dict[str, Mask]:
    """Return segment → bool [n] for a batch; values beyond *cap* are in ``field=_other``.

    *known* are segments the pane already has: they stay. New values are taken in the order
    of their names while there is room. Exact below the cap; beyond it the split between a
    value and ``_other`` depends on which values came first. One pass over the records for each
    field, and a mask only for what is kept: the number of distinct values costs nothing.
    """
    found = {name: matrix.segments[:, j] for j, name in enumerate(slices)}
    for field in fields:
        for name, mask in _of_field(records, field, known, cap).items():
            found[name] = found[name] | mask if name in found else mask
    return found


def _of_field(
    records: Sequence[Fields], field: str, known: Collection[str], cap: int
) -> dict[str, Mask]:
    codes: dict[str, int] = {}
    of_record = np.fromiter(
        (codes.setdefault(_name(field, lookup(record, field)), len(codes)) for record in records),
        dtype=np.int64,
        count=len(records),
    )
    kept = _kept(field, codes.keys(), known, cap)
    place = {name: i for i, name in enumerate(kept)}
    if len(kept) < len(codes):  # a value may itself be called ``_other``
        place.setdefault(f"{field}={OTHER}", len(place))
    rest = place.get(f"{field}={OTHER}", 0)
    target = np.array([place.get(name, rest) for name in codes], dtype=np.int64)
    placed = target[of_record] if codes else of_record
    return {name: placed == i for name, i in place.items()}


def _kept(field: str, names: Collection[str], known: Collection[str], cap: int) -> list[str]:
    """Return which values have a segment of their own: known ones, and new ones up to the cap."""
    prefix = f"{field}="
    before = sum(name.startswith(prefix) for name in known)
    new = sorted(name for name in names if name not in known)
    stay = [name for name in names if name in known]
    return [*stay, *new[: max(cap - before, 0)]]


def _name(field: str, value: object) -> str:
    text = MISSING if value is None else str(value)
    return f"{field}={text[:MAX_VALUE_LENGTH]}"
