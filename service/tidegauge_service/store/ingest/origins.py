"""What a stream's positions are positions in; and how a stream gets another source."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
import structlog

from tidegauge_service.store import schema
from tidegauge_service.store.streams import REPLAYED, StreamRow

log = structlog.get_logger()


def of_stream(connection: sa.Connection, stream_id: int) -> str | None:
    """Return the source that the stream was last read from, as the ingest wrote it."""
    t = schema.stream
    query = sa.select(t.c.source).where(t.c.id == stream_id)
    text: str | None = connection.execute(query).scalar_one_or_none()
    return text


def replace(connection: sa.Connection, stream_id: int, before: str | None, now: str) -> bool:
    """Note the source by compare-and-set; whether it was still *before*."""
    t = schema.stream
    here = (t.c.id == stream_id, t.c.source.is_not_distinct_from(before))
    return connection.execute(sa.update(t).where(*here).values(source=now)).rowcount == 1


@dataclass(frozen=True, slots=True)
class Position:
    """How far one partition of the source was read."""

    partition: int
    next_offset: int
    end_offset: int | None
    latest_event_ms: int | None = None

    @property
    def unread(self) -> int | None:
        """Inputs that were there and were not read; None if nobody looked where it ends."""
        return None if self.end_offset is None else max(0, self.end_offset - self.next_offset)


def positions(connection: sa.Connection, stream_id: int) -> list[Position]:
    """Return how far the present source was read."""
    p = schema.stream_partition
    query = sa.select(p.c.partition, p.c.next_offset, p.c.end_offset, p.c.latest_event_ms)
    here = (p.c.stream_id == stream_id, p.c.partition >= 0)
    return [
        Position(*row) for row in connection.execute(query.where(*here).order_by(p.c.partition))
    ]


def reset(connection: sa.Connection, stream: StreamRow, now_ms: int) -> list[Position]:
    """Let the stream begin another source; return how far the one before was read.

    Its partitions keep all they counted, under numbers below those in use: partition 0 of the new
    source must not meet positions, dead letters or samples of the old one. With -1 (replayed dead
    letters) in use, 0, 1, 2 become -2, -3, -4; at the next reset -5, ….

    The epoch rises: what a worker that still runs has counted and not committed is refused.
    """
    t, p, e = schema.stream, schema.stream_partition, schema.event
    connection.execute(sa.select(t.c.id).where(t.c.id == stream.id).with_for_update())
    before = positions(connection, stream.id)
    lowest = connection.execute(
        sa.select(sa.func.min(p.c.partition)).where(p.c.stream_id == stream.id)
    ).scalar()
    below = min(REPLAYED, REPLAYED if lowest is None else int(lowest))
    for position in before:  # events that came by HTTP: their count is in the panes
        mine = (e.c.stream_id == stream.id, e.c.partition == position.partition)
        connection.execute(sa.delete(e).where(*mine, e.c.offset < position.next_offset))
    connection.execute(sa.delete(schema.source_file).where(_of(schema.source_file, stream)))
    for table in _PARTITIONED:
        here = (_of(table, stream), table.c.partition >= 0)
        moved = {"partition": below - 1 - table.c.partition}
        if table is p:
            moved |= {"drained": sa.true(), "end_offset": p.c.next_offset, "owner": sa.null()}
        connection.execute(sa.update(table).where(*here).values(**moved))
    connection.execute(
        sa.update(t).where(t.c.id == stream.id).values(source=None, epoch=t.c.epoch + 1)
    )
    log.warning("source_reset", stream=stream.name, partitions=len(before), now_ms=now_ms)
    return before


def _of(table: sa.Table, stream: StreamRow) -> sa.ColumnElement[bool]:
    return table.c.stream_id == stream.id


_PARTITIONED = (
    schema.stream_partition,
    schema.pane,
    schema.late_count,
    schema.dead_letter,
    schema.dead_letter_count,
    schema.sample,
    schema.candidate,
    schema.source_decision,
)
