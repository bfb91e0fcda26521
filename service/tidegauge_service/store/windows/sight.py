"""What a stream cannot see, as it was last found, and the counts it is found from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Final

import msgspec
import sqlalchemy as sa

from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_probes.findings import Blindness
from tidegauge_service.store import schema, streams
from tidegauge_service.store.streams import StreamRow
from tidegauge_service.store.windows import evaluation

ENOUGH: Final = 200
"""Records that the newest windows are taken for."""

MOST_WINDOWS: Final = 24

NOTED: Final = 0.01
"""Share of the records from which on an LF's failures are shown."""

_FOUND: Final = msgspec.json.Decoder(tuple[Blindness, ...])


@dataclass(frozen=True, slots=True)
class Sight:
    """What was last found (None: too little was counted to say), and since when it was told."""

    found: tuple[Blindness, ...] | None
    told_ms: int | None


def load(connection: sa.Connection, stream_id: int) -> Sight:
    """Return what was last found."""
    t = schema.stream
    query = sa.select(t.c.blind, t.c.blind_ms).where(t.c.id == stream_id)
    text, told_ms = connection.execute(query).one()
    return Sight(None if text is None else _FOUND.decode(text), told_ms)


def blind_streams(connection: sa.Connection) -> dict[str, list[str]]:
    """Return each stream that cannot see something, with the causes."""
    t = schema.stream
    query = sa.select(t.c.name, t.c.blind).where(t.c.blind.is_not(None)).order_by(t.c.name)
    known = {name: _FOUND.decode(text) for name, text in connection.execute(query)}
    return {name: sorted({each.cause for each in found}) for name, found in known.items() if found}


def columns(found: Sequence[Blindness]) -> dict[str, str]:
    """Return the columns of a stream that hold what was found."""
    return {"blind": msgspec.json.encode(tuple(found)).decode()}


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
    found = evaluation.counts_between(connection, stream, min(starts), max(starts) + 1)
    return reduce(add, found.values())


def failing(connection: sa.Connection, stream: StreamRow) -> dict[str, float]:
    """Return LF → the share of the newest records on which it fails, if that is worth a note.

    An LF that failed as often on the training records raises no alert.
    """
    counts = newest_counts(connection, stream)
    if counts is None:
        return {}
    probes = streams.layout_of(connection, stream.probe_set).probes
    shares = (counts.all.errors / counts.records).tolist()
    return {probe: share for probe, share in zip(probes, shares, strict=True) if share >= NOTED}
