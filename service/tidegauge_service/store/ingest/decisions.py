"""What became of a source that no longer holds what a stream would read next.

Each is a recorded decision: what, when, which offsets, by whom. The row is written in the
transaction that moves the position, so that a gap is reported exactly once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import sqlalchemy as sa

from tidegauge_service.errors import Fenced
from tidegauge_service.store import schema
from tidegauge_service.store.ingest.gap import Gap, GapCause
from tidegauge_service.store.streams import StreamRow


@dataclass(frozen=True, slots=True)
class Decision:
    """A gap, and what was decided: nothing yet while ``decided_ms`` is None."""

    partition: int
    cause: str
    from_offset: int
    to_offset: int
    lost: int
    detected_ms: int
    decided_ms: int | None
    decided_by: str | None
    applied_ms: int | None


def go_on(
    connection: sa.Connection,
    stream: StreamRow,
    gap: Gap,
    *,
    by: str,
    now_ms: int,
    existing: Collection[int],
) -> None:
    """Move the position over a gap, and record it; Fenced if the position has moved already.

    Partitions that are not *existing* in the topic that was made anew promise nothing more.
    """
    p = schema.stream_partition
    here = (p.c.stream_id == stream.id, p.c.partition == gap.partition)
    moved = connection.execute(
        sa.update(p)
        .where(*here, p.c.next_offset == gap.from_offset)
        .values(next_offset=gap.to_offset, topic_id=gap.topic_id, drained=False)
    )
    if moved.rowcount != 1:
        raise Fenced(gap.partition)
    record(connection, stream, gap, by=by, now_ms=now_ms)
    if gap.cause is GapCause.RECREATED:
        vanished = (p.c.partition >= 0, p.c.partition.not_in(existing))
        of_stream = p.c.stream_id == stream.id
        connection.execute(sa.update(p).where(of_stream, *vanished).values(drained=True))


def record(connection: sa.Connection, stream: StreamRow, gap: Gap, *, by: str, now_ms: int) -> None:
    """Write down a gap that was decided on and is passed now; it may have waited for that."""
    t = schema.source_decision
    done = {"decided_ms": now_ms, "decided_by": by, "applied_ms": now_ms}
    waiting = connection.execute(
        sa.update(t).where(*_open(stream, gap.partition)).values(**_row(stream, gap), **done)
    )
    if not waiting.rowcount:
        row = {**_row(stream, gap), "detected_ms": now_ms, **done}
        connection.execute(sa.insert(t).values(**row))


def ask(connection: sa.Connection, stream: StreamRow, gap: Gap, now_ms: int) -> str | None:
    """Return who has accepted the partition's gap; if nobody has, see that it is asked for."""
    t = schema.source_decision
    found = connection.execute(
        sa.select(t.c.decided_by).where(*_open(stream, gap.partition)).with_for_update()
    ).one_or_none()
    if found is None:
        connection.execute(sa.insert(t).values(**_row(stream, gap), detected_ms=now_ms))
        return None
    by: str | None = found.decided_by
    return by


def accept(
    connection: sa.Connection, stream: StreamRow, partition: int | None, by: str, now_ms: int
) -> list[Decision]:
    """Accept the gaps that wait for it (of one partition, or all); return them."""
    t = schema.source_decision
    waiting = [t.c.stream_id == stream.id, t.c.applied_ms.is_(None), t.c.decided_ms.is_(None)]
    if partition is not None:
        waiting.append(t.c.partition == partition)
    found = connection.execute(_select().where(*waiting)).all()
    connection.execute(sa.update(t).where(*waiting).values(decided_ms=now_ms, decided_by=by))
    return [Decision(*row) for row in found]


def record_added(
    connection: sa.Connection,
    stream: StreamRow,
    firsts: Mapping[int, int],
    topic_id: str | None,
    now_ms: int,
) -> None:
    """Record the partitions that a topic has grown by, once each."""
    t = schema.source_decision
    done = {"decided_ms": now_ms, "decided_by": "tidegauge", "applied_ms": now_ms}
    for partition, first in sorted(firsts.items()):
        gap = Gap(partition, GapCause.PARTITION_ADDED, first, first, 0, topic_id)
        same = (t.c.stream_id == stream.id, t.c.partition == partition)
        if connection.execute(sa.select(t.c.id).where(*same, t.c.cause == gap.cause)).first():
            continue  # another worker has found it too
        row = {**_row(stream, gap), "detected_ms": now_ms, **done}
        connection.execute(sa.insert(t).values(**row))


def of_stream(
    connection: sa.Connection, stream_id: int, *, newest: int | None = None
) -> Sequence[Decision]:
    """Return the decisions of a stream (the *newest* so many), the oldest first."""
    t = schema.source_decision
    query = _select().where(t.c.stream_id == stream_id).order_by(t.c.id.desc()).limit(newest)
    return [Decision(*row) for row in connection.execute(query)][::-1]


def lost(connection: sa.Connection, stream_id: int) -> int:
    """Return how many inputs were never read and cannot be any more, as far as is known."""
    t = schema.source_decision
    mine = (t.c.stream_id == stream_id, t.c.applied_ms.is_not(None))
    return int(connection.execute(sa.select(sa.func.sum(t.c.lost)).where(*mine)).scalar() or 0)


def _select() -> sa.Select[Any]:
    t = schema.source_decision
    return sa.select(*(t.c[field.name] for field in fields(Decision)))


def _open(stream: StreamRow, partition: int) -> tuple[sa.ColumnElement[bool], ...]:
    t = schema.source_decision
    return (t.c.stream_id == stream.id, t.c.partition == partition, t.c.applied_ms.is_(None))


def _row(stream: StreamRow, gap: Gap) -> dict[str, int | str | None]:
    return {
        "stream_id": stream.id,
        "partition": gap.partition,
        "cause": str(gap.cause),
        "from_offset": gap.from_offset,
        "to_offset": gap.to_offset,
        "lost": gap.lost,
        "topic_id": gap.topic_id,
    }
