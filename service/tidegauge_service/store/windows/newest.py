"""The newest windows of a stream, open ones included: what it sees of its traffic now."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Final

import sqlalchemy as sa

from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_service.store import layouts, schema
from tidegauge_service.store.streams import StreamRow
from tidegauge_service.store.windows.counts import counts_between
from tidegauge_service.store.windows.sight import NOTED

ENOUGH: Final = 200
"""The newest windows are added up until they hold this many records."""

MOST_WINDOWS: Final = 24


def newest_counts(connection: sa.Connection, stream: StreamRow) -> PaneCounts | None:
    """Return the counts of the newest windows, open ones included; None if there are none.

    Of the stream's ProbeSet, and of as many windows as ENOUGH records need.
    """
    t = schema.pane
    n = sa.func.sum(t.c.records)
    query = (
        sa.select(t.c.window_start_ms, n)
        .where(t.c.stream_id == stream.id, t.c.probe_set == stream.probe_set, t.c.records > 0)
        .group_by(t.c.window_start_ms)
        .order_by(t.c.window_start_ms.desc())
        .limit(MOST_WINDOWS)
    )
    starts, total = list[int](), 0
    for start, records in connection.execute(query):
        if total < ENOUGH:
            starts.append(start)
            total += int(records)
    if not starts:
        return None
    found = counts_between(connection, stream, min(starts), max(starts) + 1)
    return reduce(add, found.values())


def failing(connection: sa.Connection, stream: StreamRow) -> dict[str, float]:
    """Return LF → the share of the newest records on which it fails, if that is worth a note.

    An LF that failed as often on the training records raises no alert.
    """
    counts = newest_counts(connection, stream)
    if counts is None:
        return {}
    probes = layouts.layout_of(connection, stream.probe_set).probes
    shares = (counts.all.errors / counts.records).tolist()
    return {probe: share for probe, share in zip(probes, shares, strict=True) if share >= NOTED}
