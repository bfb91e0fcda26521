"""How the budget of false incidents (``false_alarms``) is divided among the series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.findings import ALL, SeriesKey, SeriesKind

Floats = npt.NDArray[np.float64]

BLIND_SPOT, COVERAGE, REST = 0.15, 0.40, 0.45
"""Shares of the budget for the blind spot of all records, the coverage of all records, and the rest
(segments and their shares, pairs, overlaps, conflicts, class shares), so that the many do not crowd
out what matters most: with 700 series, the coverage of each of 15 LFs gets 19 times the average
weight. The volume counts as one of the coverages."""

_PARTS: Final = {SeriesKind.BLIND_SPOT: 0, SeriesKind.COVERAGE: 1, SeriesKind.VOLUME: 1}


def weights(keys: Sequence[SeriesKey]) -> Floats:
    """Return each series' weight in the budget, [S], mean 1 (Genovese, Roeder & Wasserman 2006).

    A part without series leaves its share to the others.
    """
    part = np.array([_part(key) for key in keys], dtype=np.int64)
    size = np.bincount(part, minlength=3)
    share = np.where(size > 0, (BLIND_SPOT, COVERAGE, REST), 0.0)
    of_part = share / max(float(share.sum()), 1e-300) * len(keys) / np.maximum(size, 1)
    return np.asarray(of_part[part])


def _part(key: SeriesKey) -> int:
    if key.segment != ALL:
        return 2
    return _PARTS.get(SeriesKind(key.series), 2)
