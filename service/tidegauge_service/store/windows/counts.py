"""The counts of windows, summed over the partitions that were counted apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from operator import add

import numpy as np
import sqlalchemy as sa

from tidegauge_probes.counts import panes as counts
from tidegauge_probes.counts.panes import DistinctCounts, PaneCounts
from tidegauge_service.store import layouts, schema
from tidegauge_service.store.streams import StreamRow
from tidegauge_service.store.windows import texts


def counts_between(
    connection: sa.Connection, stream: StreamRow, since: int, until: int
) -> dict[int, PaneCounts]:
    """Return the counts of the windows in [since, until), summed over partitions."""
    t = schema.pane
    query = (
        sa.select(t.c.window_start_ms, t.c.counts)
        .where(
            t.c.stream_id == stream.id,
            t.c.probe_set == stream.probe_set,
            t.c.window_start_ms >= since,
            t.c.window_start_ms < until,
        )
        .order_by(t.c.window_start_ms, t.c.partition)
    )
    panes: dict[int, list[PaneCounts]] = {}
    for start, encoded in connection.execute(query):
        panes.setdefault(start, []).append(counts.decode(encoded))
    return {start: reduce(add, parts) for start, parts in panes.items()}


def windows_with_records(
    connection: sa.Connection, stream: StreamRow, since: int, until: int
) -> list[int]:
    """Return the windows in [since, until) in which any ProbeSet of the stream counted records."""
    t = schema.pane
    query = (
        sa.select(t.c.window_start_ms)
        .distinct()
        .where(
            t.c.stream_id == stream.id,
            t.c.window_start_ms >= since,
            t.c.window_start_ms < until,
            t.c.records > 0,
        )
    )
    return list(connection.execute(query).scalars())


def with_distinct_texts(
    connection: sa.Connection, stream: StreamRow, since: int, until: int
) -> dict[int, PaneCounts]:
    """Return the same counts, and with them those of the distinct texts, as far as known."""
    found = counts_between(connection, stream, since, until)
    known = texts.settled(connection, stream.id, stream.probe_set, since, until)
    known |= _unsettled(connection, stream, [start for start in found if start not in known])
    return {start: replace(pane, distinct=known.get(start)) for start, pane in found.items()}


def _unsettled(
    connection: sa.Connection, stream: StreamRow, starts: Sequence[int]
) -> dict[int, DistinctCounts]:
    """Return the distinct texts of windows that are not evaluated yet."""
    if not starts:
        return {}
    t = schema.pane
    query = sa.select(t.c.window_start_ms, t.c.records, t.c.texts).where(
        t.c.stream_id == stream.id,
        t.c.probe_set == stream.probe_set,
        t.c.window_start_ms >= min(starts),
        t.c.window_start_ms <= max(starts),
    )
    parts: dict[int, list[tuple[int, bytes | None]]] = {start: [] for start in starts}
    for start, records, encoded in connection.execute(query.order_by(t.c.partition)):
        if start in parts:
            parts[start].append((records, encoded))
    classes = len(layouts.layout_of(connection, stream.probe_set).classes)
    counted = {start: texts.distinct_of(some, classes) for start, some in parts.items()}
    return {start: distinct for start, distinct in counted.items() if distinct is not None}


def counted_span(connection: sa.Connection, stream: StreamRow) -> tuple[int, int] | None:
    """Return from when to when the ProbeSet has counted records (epoch ms); None if none."""
    t = schema.pane
    start = t.c.window_start_ms
    query = sa.select(sa.func.min(start), sa.func.max(start)).where(
        t.c.stream_id == stream.id, t.c.probe_set == stream.probe_set, t.c.records > 0
    )
    first, last = connection.execute(query).one()
    return None if first is None else (int(first), int(last) + stream.window_ms)


def late_between(connection: sa.Connection, stream: StreamRow, since: int, until: int) -> int:
    """Return how many records of windows in [since, until) came too late to be counted."""
    t = schema.late_count
    start = t.c.window_start_ms
    here = (t.c.stream_id == stream.id, start >= since, start < until)
    return int(connection.execute(sa.select(sa.func.sum(t.c.n)).where(*here)).scalar() or 0)


def every_lf_failed(connection: sa.Connection, stream: StreamRow) -> bool:
    """Whether every LF failed on every record that is counted; False if none is.

    Reads on only while that is so: for a healthy stream, no further than its first window.
    """
    t = schema.pane
    mine = (t.c.stream_id == stream.id, t.c.probe_set == stream.probe_set, t.c.records > 0)
    query = sa.select(t.c.counts).where(*mine).order_by(t.c.window_start_ms)
    found = False
    for encoded in connection.execute(query).scalars():
        pane = counts.decode(encoded)
        if np.any(pane.all.errors < pane.records):
            return False
        found = True
    return found
