"""Which reader reads which partition of a `log` stream.

Leases only divide the work. Counts are exact without them: a position is moved by compare-and-set
(``commit``), so readers whose clocks differ, or who slept, cost each other fenced commits only.
"""

from __future__ import annotations

import sqlalchemy as sa

from tidegauge_service.store import schema, upsert
from tidegauge_service.store.streams import StreamRow

FARTHEST = 3
"""A lease that ends more than this many lengths from now is void: clocks differ by less."""


def divide(
    connection: sa.Connection, stream: StreamRow, reader: str, *, now_ms: int, lease_ms: int
) -> frozenset[int]:
    """Renew a reader's lease; release what is due to others; return what it holds now.

    The i-th partition is due to the (i mod n)-th of the n readers whose leases last. It takes
    what is due to it once nobody else holds it: its owner releases it at its next call, or its
    lease ends. A lease that ends later than any that is given now was taken under a clock that
    was ahead, and is ignored.
    """
    r = schema.event_reader
    rows = _locked(connection, stream)
    lease = {"stream_id": stream.id, "name": reader, "lease_ms": now_ms + lease_ms}
    upsert.replace(connection, r, [lease])
    lasts = r.c.lease_ms.between(now_ms, now_ms + FARTHEST * lease_ms)
    connection.execute(sa.delete(r).where(r.c.stream_id == stream.id, ~lasts))
    names = sa.select(r.c.name).where(r.c.stream_id == stream.id).order_by(r.c.name)
    readers = list(connection.execute(names).scalars())
    held = set[int]()
    for i, row in enumerate(rows):
        due = readers[i % len(readers)]
        if due == reader and (row.owner == reader or row.owner not in readers):
            held.add(row.partition)
            _give(connection, stream, row.partition, reader)
        elif row.owner == reader:
            _give(connection, stream, row.partition, None)
    return frozenset(held)


def release(connection: sa.Connection, stream: StreamRow, reader: str) -> None:
    """Release everything, so that others need not wait for the lease to end."""
    t, r = schema.event_partition, schema.event_reader
    _locked(connection, stream)
    connection.execute(sa.delete(r).where(r.c.stream_id == stream.id, r.c.name == reader))
    mine = sa.and_(t.c.stream_id == stream.id, t.c.owner == reader)
    connection.execute(sa.update(t).where(mine).values(owner=None))


def _locked(connection: sa.Connection, stream: StreamRow) -> list[sa.Row[tuple[int, str | None]]]:
    """Return partition and owner of all partitions, locked: readers divide one after another.

    Locked before any lease is touched: two readers that each renewed their own lease and then
    removed the other's, which had ended, would wait for each other.
    """
    t = schema.event_partition
    query = sa.select(t.c.partition, t.c.owner).where(t.c.stream_id == stream.id)
    return list(connection.execute(query.order_by(t.c.partition).with_for_update()))


def _give(connection: sa.Connection, stream: StreamRow, partition: int, owner: str | None) -> None:
    t = schema.event_partition
    here = sa.and_(t.c.stream_id == stream.id, t.c.partition == partition)
    connection.execute(sa.update(t).where(here).values(owner=owner))
