"""Streams: their row, their partitions and cursors, their ProbeSet."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa
from pydantic import ValidationError

from tidegauge_probes.drift.civil_time import UTC
from tidegauge_service.config.stream_file import StreamConfig
from tidegauge_service.errors import StoreError
from tidegauge_service.store import schema, upsert

CLOSED, EVALUATED = "closed", "evaluated"

CUT = "cut"
"""The end of the last window that was closed because its source had ended: no record has shown that
event time got so far, so there may be more of it."""

REPLAYED = -1
"""The partition of replayed dead letters; its position counts them. The owners of the other
partitions keep their panes in memory and replace them whole, so replays have panes of their own. It
is always drained, so it never holds back the watermark."""


class Role(StrEnum):
    """What a deployment is for."""

    LIVE = "live"  # evaluated, raises alerts
    SHADOW = "shadow"  # counted alongside it, nothing else


@dataclass(frozen=True, slots=True)
class StreamRow:
    """A stream as the database knows it.

    ``probe_set``, ``baseline``: of the live deployment that was deployed last, or of the one that
    is live in the current window (``deployments.seen_from``). ``epoch``: how often that changed.
    ``timezone``: in which people are shown its times.
    """

    id: int
    name: str
    window_ms: int
    lateness_ms: int
    probe_set: str
    baseline: str | None
    epoch: int = 0
    timezone: str = UTC


@dataclass(frozen=True, slots=True)
class PartitionRow:
    """Where the reading of one partition stands."""

    partition: int
    next_offset: int
    end_offset: int | None
    watermark_ms: int | None
    latest_event_ms: int | None
    drained: bool
    records: int
    late: int
    owner: str | None
    topic_id: str | None = None
    moved_ms: int = 0
    """When its watermark last rose."""
    tombstones: int = 0
    """Records without a value, skipped."""
    updated_ms: int = 0
    """When its owner last committed, even if there was nothing new."""
    heard_ms: int | None = None
    """When inputs were last read from it."""
    end_ms: int | None = None
    """When ``end_offset`` was last queried."""

    @property
    def lag(self) -> int | None:
        """Inputs in the source that are not counted yet, as of ``end_ms``; None if not known.

        Never below 0: the end may have been asked for before the last inputs were counted.
        """
        return None if self.end_offset is None else max(0, self.end_offset - self.next_offset)


def source_kind(connection: sa.Connection, stream_id: int) -> str:
    """Return the kind of source that the stream was last opened with."""
    t = schema.stream
    text = connection.execute(sa.select(t.c.config).where(t.c.id == stream_id)).scalar_one()
    return str(json.loads(text)["source"]["kind"])


def config_of(connection: sa.Connection, stream_id: int) -> StreamConfig:
    """Return the configuration that the stream was last opened with, without its secrets."""
    t = schema.stream
    text = connection.execute(sa.select(t.c.config).where(t.c.id == stream_id)).scalar_one()
    try:
        return StreamConfig.model_validate_json(text)
    except ValidationError as error:
        msg = (
            f"stream {stream_id} was last opened by another version of tidegauge, and "
            "this version cannot read its configuration: run `tidegauge run` of this "
            "version with its stream file"
        )
        raise StoreError(msg) from error


def mutes(connection: sa.Connection) -> dict[int, list[str]]:
    """Return stream → its mute times, as written."""
    t = schema.stream
    found = connection.execute(sa.select(t.c.id, t.c.config))
    written = {
        stream: json.loads(config).get("alerts", {}).get("mute", []) for stream, config in found
    }
    return {stream: times for stream, times in written.items() if times}


def find(connection: sa.Connection, name: str) -> StreamRow | None:
    """Return the stream of that name."""
    return next((s for s in select_streams(connection) if s.name == name), None)


def select_streams(connection: sa.Connection) -> list[StreamRow]:
    """Return all streams, by name."""
    t, d = schema.stream, schema.deployment
    columns = (t.c.id, t.c.name, t.c.window_ms, t.c.lateness_ms, d.c.probe_set, d.c.baseline)
    newest = (d.c.stream_id == t.c.id) & (d.c.role == Role.LIVE) & d.c.until_ms.is_(None)
    query = sa.select(*columns, t.c.epoch, t.c.timezone).join(d, newest).order_by(t.c.name)
    return [StreamRow(*row) for row in connection.execute(query)]


def epoch(connection: sa.Connection, stream_id: int) -> int:
    """Return how often the deployments of a stream have changed."""
    t = schema.stream
    return int(connection.execute(sa.select(t.c.epoch).where(t.c.id == stream_id)).scalar_one())


def seed_partitions(
    connection: sa.Connection,
    stream_id: int,
    starts: dict[int, int],
    now_ms: int,
    *,
    drained: bool = False,
    topic_id: str | None = None,
) -> None:
    """Make a row for each partition, owned or not: one that nobody reads holds the watermark."""
    rows = [
        {
            "stream_id": stream_id,
            "partition": partition,
            "next_offset": offset,
            "drained": drained,
            "records": 0,
            "late": 0,
            "topic_id": topic_id,
            "moved_ms": now_ms,
            "updated_ms": now_ms,
        }
        for partition, offset in sorted(starts.items())
    ]
    t = schema.stream
    # Against a change of deployments, which must see all partitions (``deployments.begin``).
    lock = sa.select(t.c.id).where(t.c.id == stream_id).with_for_update(key_share=True)
    connection.execute(lock)
    upsert.keep(connection, schema.stream_partition, rows)


def partitions(connection: sa.Connection, stream_id: int) -> list[PartitionRow]:
    """Return the stream's partitions, in order.

    The end of a log's partition is what is in the database now; that of others is as its owner
    saw it last (``end_ms``).
    """
    t, e = schema.stream_partition, schema.event_partition
    same = sa.and_(e.c.stream_id == t.c.stream_id, e.c.partition == t.c.partition)
    columns = (
        t.c.partition,
        t.c.next_offset,
        sa.func.coalesce(e.c.next_offset, t.c.end_offset),
        t.c.watermark_ms,
        t.c.latest_event_ms,
        t.c.drained,
        t.c.records,
        t.c.late,
        t.c.owner,
        t.c.topic_id,
        t.c.moved_ms,
        t.c.tombstones,
        t.c.updated_ms,
        t.c.heard_ms,
        t.c.end_ms,
    )
    query = sa.select(*columns).select_from(t.outerjoin(e, same))
    query = query.where(t.c.stream_id == stream_id).order_by(t.c.partition)
    return [PartitionRow(*row) for row in connection.execute(query)]


def note_ends(
    connection: sa.Connection, stream_id: int, ends: Mapping[int, int], now_ms: int
) -> None:
    """Keep how far the partitions reach in the source, before anything of that is counted."""
    t = schema.stream_partition
    for partition, end in sorted(ends.items()):
        mine = (t.c.stream_id == stream_id, t.c.partition == partition)
        connection.execute(sa.update(t).where(*mine).values(end_offset=end, end_ms=now_ms))


def cursor(
    connection: sa.Connection, stream_id: int, kind: str, *, lock: bool = False
) -> int | None:
    """Return where a cursor stands; *lock* holds it until the transaction ends."""
    t = schema.cursor
    query = sa.select(t.c.through_ms).where(t.c.stream_id == stream_id, t.c.kind == kind)
    value = connection.execute(query.with_for_update() if lock else query).scalar_one()
    return None if value is None else int(value)


def move_cursor(connection: sa.Connection, stream_id: int, kind: str, through_ms: int) -> None:
    """Move a cursor on; the caller holds what guards it."""
    t = schema.cursor
    connection.execute(
        sa.update(t)
        .where(t.c.stream_id == stream_id, t.c.kind == kind)
        .values(through_ms=through_ms)
    )


def names(rows: Sequence[StreamRow]) -> list[str]:
    """Return the names of streams."""
    return [row.name for row in rows]
