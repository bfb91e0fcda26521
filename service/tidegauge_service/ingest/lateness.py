"""Which records are late: decided record by record, in the order of their partition. Pure.

A record is late if the records before it in its partition have already passed the end of its
window by the allowed lateness. That follows from the records alone, so that the size of batches,
kills, replays and the speed of other partitions change nothing. The windows that the database has
closed are those that *all* partitions have passed, so they are never more than these, unless the
clock has moved the watermark of a silent partition (``ingest.partitions.idleness``).

Worked example: windows of 60 min, lateness 10 min, times of one partition 11:50, 12:05, 11:59,
12:10, 11:58. At 11:59 the highest before it is 12:05; 12:05 - 10 min lies in the window of 11:00,
which is still open: counted. At 11:58 it is 12:10, and 12:00 is past that window: late.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tidegauge_probes.model import Record
from tidegauge_service.clock import window_start

NEVER = -(2**62)
"""Before every event: nothing has been seen yet. Leaves room to subtract any lateness."""

Late = Mapping[int, Mapping[int, int]]
"""Partition → window start → late records."""


@dataclass(frozen=True, slots=True)
class Sorted:
    """The records of a batch that are counted, in their order, and how many come too late."""

    on_time: Sequence[Record]
    late: Late


def sort_out(
    records: Sequence[Record],
    latest: Mapping[int, int | None],
    *,
    window_ms: int,
    lateness_ms: int,
) -> Sorted:
    """Tell late records from the others.

    *records*: of any partitions, each partition's in the order of its offsets. *latest*: the
    highest event time of each partition before them, epoch ms; None if it had no record.
    """
    times = np.fromiter((r.timestamp_ms for r in records), dtype=np.int64, count=len(records))
    partitions = np.fromiter((r.partition for r in records), dtype=np.int64, count=len(records))
    is_late = np.zeros(len(records), dtype=np.bool_)
    late: dict[int, Mapping[int, int]] = {}
    for partition in np.unique(partitions).tolist():
        rows = np.flatnonzero(partitions == partition)
        starts = times[rows] - times[rows] % window_ms
        missed = starts < _closed(times[rows], latest.get(partition), window_ms, lateness_ms)
        if missed.any():
            is_late[rows] = missed
            late[partition] = dict(sorted(Counter(starts[missed].tolist()).items()))
    if not late:
        return Sorted(records, {})
    kept = np.flatnonzero(~is_late).tolist()
    return Sorted([records[row] for row in kept], late)


def _closed(
    times: npt.NDArray[np.int64], latest: int | None, window_ms: int, lateness_ms: int
) -> npt.NDArray[np.int64]:
    """Return, for each record, up to where the records before it have closed the windows."""
    first = NEVER if latest is None else latest
    before = np.maximum.accumulate(np.concatenate(([first], times[:-1])))
    closed: npt.NDArray[np.int64] = window_start(before - lateness_ms, window_ms)  # type: ignore[arg-type, assignment]
    return closed
