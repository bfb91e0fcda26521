"""Files of history that are read into a stream: each is a partition of its own, below ``REPLAYED``.

A file is known by the digest of its content, so that it is counted once whatever it is called, and
goes on where it stood after a kill. Until it was read to its end its partition holds the watermark,
like every other: no window closes that the rest of the file may still belong to.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from tidegauge_service.store import schema, streams, upsert
from tidegauge_service.store.streams import CLOSED, REPLAYED


@dataclass(frozen=True, slots=True)
class Backfill:
    """A file of history, and how far it was counted."""

    partition: int
    name: str
    digest: str
    next_offset: int
    drained: bool
    records: int
    late: int


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file to count: its name is for people, its digest for us."""

    name: str
    digest: str


def of_stream(connection: sa.Connection, stream_id: int) -> list[Backfill]:
    """Return the files of a stream, in the order in which they were named."""
    b, p = schema.backfill, schema.stream_partition
    same = sa.and_(p.c.stream_id == b.c.stream_id, p.c.partition == b.c.partition)
    columns = (p.c.next_offset, p.c.drained, p.c.records, p.c.late)
    query = sa.select(b.c.partition, b.c.name, b.c.digest, *columns).join(p, same)
    rows = connection.execute(
        query.where(b.c.stream_id == stream_id).order_by(b.c.partition.desc())
    )
    return [Backfill(*row) for row in rows]


def begin(
    connection: sa.Connection, stream_id: int, files: Sequence[NewFile], now_ms: int
) -> list[Backfill]:
    """Make the partitions of files that have none; return those of all *files*, in their order.

    From the commit on, none of the windows that are still open closes.
    """
    s, p = schema.stream, schema.stream_partition
    connection.execute(sa.select(s.c.id).where(s.c.id == stream_id).with_for_update())
    known = {found.digest for found in of_stream(connection, stream_id)}
    lowest = connection.execute(
        sa.select(sa.func.min(p.c.partition)).where(p.c.stream_id == stream_id)
    ).scalar()
    new = {file.digest: file for file in files if file.digest not in known}
    first = min(REPLAYED, 0 if lowest is None else lowest) - 1
    rows = [
        {"stream_id": stream_id, "partition": first - i, "name": file.name, "digest": file.digest}
        for i, file in enumerate(new.values())
    ]
    empty = {"next_offset": 0, "drained": False, "records": 0, "late": 0}
    times = {"moved_ms": now_ms, "updated_ms": now_ms}
    upsert.keep(connection, schema.backfill, [{**row, "created_ms": now_ms} for row in rows])
    positions = [
        {"stream_id": stream_id, "partition": row["partition"], **empty, **times} for row in rows
    ]
    upsert.keep(connection, p, positions)
    found = {file.digest: file for file in of_stream(connection, stream_id)}
    return [found[digest] for digest in dict.fromkeys(file.digest for file in files)]


def closed_through(connection: sa.Connection, stream_id: int) -> int | None:
    """Return through when windows are closed, after any closing under way has ended.

    Whoever closes windows holds all partitions' rows, and may have begun before ours were there.
    """
    p = schema.stream_partition
    query = sa.select(p.c.partition).where(p.c.stream_id == stream_id)
    connection.execute(query.order_by(p.c.partition).with_for_update()).all()
    return streams.cursor(connection, stream_id, CLOSED)


def withdraw(connection: sa.Connection, stream_id: int, partitions: Collection[int]) -> None:
    """Remove partitions of which nothing was counted: they hold the windows no more."""
    b, p = schema.backfill, schema.stream_partition
    untouched = (p.c.stream_id == stream_id, p.c.partition.in_(partitions), p.c.next_offset == 0)
    gone = connection.execute(sa.delete(p).where(*untouched).returning(p.c.partition)).scalars()
    mine = (b.c.stream_id == stream_id, b.c.partition.in_(list(gone)))
    connection.execute(sa.delete(b).where(*mine))


def abandon(connection: sa.Connection, stream_id: int) -> list[Backfill]:
    """Give up files that were not fully read; what was counted from them stays."""
    p = schema.stream_partition
    left = [found for found in of_stream(connection, stream_id) if not found.drained]
    mine = (p.c.stream_id == stream_id, p.c.partition.in_([found.partition for found in left]))
    connection.execute(sa.update(p).where(*mine).values(drained=True))
    return left
