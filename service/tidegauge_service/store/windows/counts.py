"""The counts of windows, summed over the partitions that were counted apart."""

from __future__ import annotations

from functools import reduce
from operator import add

import sqlalchemy as sa

from tidegauge_probes.counts import panes as counts
from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_service.store import schema
from tidegauge_service.store.streams import StreamRow


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
