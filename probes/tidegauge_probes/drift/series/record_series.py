"""Series of records, whatever the LFs say of them: their volume, and the share of each segment.

Volume is x of a constant n, so large that p = x/n is small and the law is Poisson. Noise, season
and tails are then those of any series, and an odds ratio is a ratio of volumes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from tidegauge_probes.counts.panes import RECORDS, SegmentCounts
from tidegauge_probes.findings import VOLUME_OF, SeriesKey, SeriesKind

Ints = npt.NDArray[np.int64]

VOLUME: Final = SeriesKey(SeriesKind.VOLUME)

MOST_SILENT: Final = 1_000
"""A longer run of windows without records is no outage: the stream was not there."""


def keys(segments: Sequence[str], *, volume: bool) -> list[SeriesKey]:
    """Name the series, in the order of ``extract``."""
    shares = [SeriesKey(SeriesKind.SEGMENT_SHARE, name) for name in segments if _is_value(name)]
    return [*([VOLUME] if volume else []), *shares]


def extract(
    records: int,
    segments: Sequence[str],
    counted: Sequence[SegmentCounts],
    *,
    volume: bool,
    whole: bool,
) -> tuple[Ints, Ints]:
    """Return x and n of each series, int64 [S] each.

    *counted*: of each of *segments*. A share is of the records that were counted by its field.
    *whole*: whether all records of the window can have been seen; the volume of any other says
    nothing, and is 0 of 0.
    """
    sizes = {
        name: int(one.totals[RECORDS])
        for name, one in zip(segments, counted, strict=True)
        if _is_value(name)
    }
    of_field: Counter[str] = Counter()
    for name, size in sizes.items():
        of_field[_field(name)] += size
    x, n = list(sizes.values()), [of_field[_field(name)] for name in sizes]
    if volume:
        x = [min(records, VOLUME_OF) if whole else 0, *x]
        n = [VOLUME_OF if whole else 0, *n]
    return np.array(x, dtype=np.int64), np.array(n, dtype=np.int64)


def _field(segment: str) -> str:
    return segment.partition("=")[0]


def _is_value(segment: str) -> bool:
    """Whether a segment is a value of a field, and not the records of a slicing function."""
    return "=" in segment


def silent_windows(with_records: Collection[int], window_ms: int) -> Ints:
    """Return the starts of the windows without records between those *with_records*, int64 [Z].

    >>> silent_windows([10, 20, 50], 10).tolist()
    [30, 40]
    """
    starts = np.unique(np.fromiter(with_records, dtype=np.int64, count=len(with_records)))
    gaps = np.diff(starts) // window_ms
    runs = [
        start + window_ms * np.arange(1, gap, dtype=np.int64)
        for start, gap in zip(starts[:-1].tolist(), gaps.tolist(), strict=True)
        if 1 < gap <= MOST_SILENT
    ]
    return np.concatenate(runs) if runs else np.zeros(0, dtype=np.int64)
