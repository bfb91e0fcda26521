"""Which file of a file source is which partition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from tidegauge_service.store import schema, upsert


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A file as it was last seen, and how far it was read."""

    partition: int
    name: str
    format: str
    head_bytes: int
    head: str
    """Digest of the first ``head_bytes`` bytes."""
    state: str
    """Size and modification time."""
    gone: bool = False
    next_offset: int = 0
    end_offset: int | None = None
    drained: bool = False
    mark: str | None = None
    """How far it was read (``ingest.files.identity.Mark``)."""


def lock(connection: sa.Connection, stream_id: int) -> None:
    """Let one process at a time give numbers."""
    t = schema.stream
    connection.execute(sa.select(t.c.id).where(t.c.id == stream_id).with_for_update())


def of_stream(connection: sa.Connection, stream_id: int) -> list[KeptFile]:
    """Return the files that were ever read, by partition."""
    f, p = schema.source_file, schema.stream_partition
    columns = (f.c.partition, f.c.name, f.c.format, f.c.head_bytes, f.c.head, f.c.state, f.c.gone)
    reading = (p.c.next_offset, p.c.end_offset, p.c.drained, p.c.mark)
    joined = (p.c.stream_id == f.c.stream_id) & (p.c.partition == f.c.partition)
    query = sa.select(*columns, *reading).join(p, joined).where(f.c.stream_id == stream_id)
    return [KeptFile(*row) for row in connection.execute(query.order_by(f.c.partition))]


def next_partition(connection: sa.Connection, stream_id: int) -> int:
    """Return the lowest number that no partition ever had."""
    p = schema.stream_partition
    query = sa.select(sa.func.max(p.c.partition)).where(p.c.stream_id == stream_id)
    highest = connection.execute(query).scalar()
    return 0 if highest is None else max(int(highest), -1) + 1


def keep(
    connection: sa.Connection,
    stream_id: int,
    rows: Sequence[KeptFile],
    added: Sequence[int],
    now_ms: int,
) -> None:
    """Write files as they are now, and make a partition for each that was *added*."""
    starts = [
        {
            "stream_id": stream_id,
            "partition": partition,
            "next_offset": 0,
            "drained": False,
            "records": 0,
            "late": 0,
            "moved_ms": now_ms,
            "updated_ms": now_ms,
        }
        for partition in added
    ]
    upsert.keep(connection, schema.stream_partition, starts)
    files = [
        {
            "stream_id": stream_id,
            "partition": row.partition,
            "name": row.name,
            "format": row.format,
            "head_bytes": row.head_bytes,
            "head": row.head,
            "state": row.state,
            "gone": False,
        }
        for row in rows
    ]
    upsert.replace(connection, schema.source_file, files)


def mark_gone(
    connection: sa.Connection, stream_id: int, partitions: Sequence[int], now_ms: int
) -> None:
    """Note that files are not there any more: nothing more comes of them, no window waits."""
    f, p = schema.source_file, schema.stream_partition
    for table, values in ((f, {"gone": True}), (p, {"drained": True, "updated_ms": now_ms})):
        here = (table.c.stream_id == stream_id, table.c.partition.in_(partitions))
        connection.execute(sa.update(table).where(*here).values(**values))
