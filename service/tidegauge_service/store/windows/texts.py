"""The distinct texts of windows: samples while they are open, counts once they are evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import add

import msgspec
import sqlalchemy as sa

from tidegauge_probes.counts import panes, text_sample
from tidegauge_probes.counts.panes import DistinctCounts
from tidegauge_probes.counts.text_sample import FrequentText
from tidegauge_service.store import layouts, schema, upsert

_FREQUENT = msgspec.json.Decoder(tuple[FrequentText, ...])


def settle(connection: sa.Connection, stream_id: int, start: int) -> None:
    """Count the samples of a closed window, and drop them: nothing is added to it any more."""
    t = schema.pane
    here = (t.c.stream_id == stream_id, t.c.window_start_ms == start)
    query = sa.select(t.c.probe_set, t.c.records, t.c.texts).where(*here).order_by(t.c.partition)
    by_probe_set: dict[str, list[tuple[int, bytes | None]]] = {}
    for probe_set, records, encoded in connection.execute(query):
        by_probe_set.setdefault(probe_set, []).append((records, encoded))
    for probe_set, parts in by_probe_set.items():
        classes = len(layouts.layout_of(connection, probe_set).classes)
        distinct = distinct_of(parts, classes)
        if distinct is not None:
            _save(connection, stream_id, start, probe_set, distinct)
    connection.execute(sa.update(t).where(*here, t.c.texts.is_not(None)).values(texts=None))


def distinct_of(parts: Sequence[tuple[int, bytes | None]], classes: int) -> DistinctCounts | None:
    """Return the counts of one window's distinct texts, from each partition's (records, sample).

    None where a partition has records and no sample.
    """
    if any(records and encoded is None for records, encoded in parts):
        return None
    samples = [text_sample.decode(encoded) for _, encoded in parts if encoded is not None]
    if not samples:
        return None
    return DistinctCounts.of(reduce(add, samples), classes, sum(records for records, _ in parts))


def _save(
    connection: sa.Connection,
    stream_id: int,
    start: int,
    probe_set: str,
    distinct: DistinctCounts,
) -> None:
    row = {
        "stream_id": stream_id,
        "window_start_ms": start,
        "probe_set": probe_set,
        "records": distinct.records,
        "texts": distinct.texts,
        "level": distinct.level,
        "counts": distinct.counts.encode(),
        "frequent": msgspec.json.encode(distinct.frequent).decode(),
    }
    upsert.keep(connection, schema.distinct_texts, [row])


def settled(
    connection: sa.Connection, stream_id: int, probe_set: str, since: int, until: int
) -> dict[int, DistinctCounts]:
    """Return the distinct texts of the evaluated windows in [since, until)."""
    t = schema.distinct_texts
    query = sa.select(t).where(
        t.c.stream_id == stream_id,
        t.c.probe_set == probe_set,
        t.c.window_start_ms >= since,
        t.c.window_start_ms < until,
    )
    return {
        row.window_start_ms: DistinctCounts(
            panes.decode(row.counts),
            row.records,
            row.texts,
            row.level,
            _FREQUENT.decode(row.frequent),
        )
        for row in connection.execute(query)
    }
