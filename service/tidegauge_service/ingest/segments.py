"""Which segments a record belongs to: slices, and values of ``segment_by`` fields."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from tidegauge_probes.findings import OTHER
from tidegauge_probes.model import Fields, VoteMatrix, lookup

Mask = npt.NDArray[np.bool_]
MAX_VALUE_LENGTH = 100
MISSING = "_missing"


def memberships(
    records: Sequence[Fields], fields: Sequence[str], matrix: VoteMatrix, slices: Sequence[str]
) -> dict[str, Mask]:
    """Return segment → bool [n] for a batch."""
    found = {name: matrix.segments[:, j] for j, name in enumerate(slices)}
    for field in fields:
        values = np.array([_name(field, lookup(record, field)) for record in records], dtype=object)
        found |= {str(name): np.asarray(values == name) for name in set(values)}
    return found


def _name(field: str, value: object) -> str:
    text = MISSING if value is None else str(value)
    return f"{field}={text[:MAX_VALUE_LENGTH]}"


def capped(
    found: dict[str, Mask], known: Collection[str], slices: Collection[str], cap: int
) -> dict[str, Mask]:
    """Fold values beyond the cap into ``field=_other``.

    *known* are segments the pane already has: they stay. New values are taken in the order
    of their names while there is room. Exact below the cap; beyond it the split between a
    value and ``_other`` depends on which values came first.
    """
    kept: dict[str, Mask] = {}
    counts: dict[str, int] = {}
    for name in known:
        counts[name.partition("=")[0]] = counts.get(name.partition("=")[0], 0) + 1
    for name in sorted(found):
        field = name.partition("=")[0]
        new = name not in slices and name not in known
        if new and counts.get(field, 0) >= cap:
            rest = f"{field}={OTHER}"
            kept[rest] = kept[rest] | found[name] if rest in kept else found[name]
            continue
        counts[field] = counts.get(field, 0) + new
        kept[name] = kept[name] | found[name] if name in kept else found[name]
    return kept
