"""The ids of a `log`'s events: one belongs to an event until that becomes a dead letter.

A producer that corrects an event sends it again with the same id. If the dead letter kept the id,
the corrected event would be dropped as a duplicate, and the answer would still be 202.

The dead letter remembers the id that it gave up. To be replayed it must claim it again, so an
event counts once: as the dead letter, or as the event that was sent after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from tidegauge_service.store import schema, upsert
from tidegauge_service.store.ingest.dead_letter import DeadLetter
from tidegauge_service.store.streams import StreamRow

EVENT: Final = "event"
"""The kind of the rows in `event_key` that hold an event's id, not a request's key."""


def release(connection: sa.Connection, stream: StreamRow, letters: Sequence[DeadLetter]) -> None:
    """Take the ids from events that this transaction has made dead letters of one partition."""
    if not letters:
        return
    rows = _events_of(connection, stream, letters)
    if not rows:
        return
    d, k = schema.dead_letter, schema.event_key
    here = (d.c.stream_id == stream.id, d.c.partition == letters[0].partition)
    remember = sa.update(d).where(*here, d.c.offset == sa.bindparam("at"))
    connection.execute(remember.values(key=sa.bindparam("digest")), rows)
    # An id that retention forgot may belong to a later event by now: its time tells them apart.
    forget = sa.delete(k).where(
        k.c.stream_id == stream.id,
        k.c.kind == EVENT,
        k.c.digest == sa.bindparam("digest"),
        k.c.created_ms == sa.bindparam("appended_ms"),
    )
    connection.execute(forget, rows)


def _events_of(
    connection: sa.Connection, stream: StreamRow, letters: Sequence[DeadLetter]
) -> list[dict[str, int | str]]:
    """Return the offset, key and time of the events that became dead letters, if they have one.

    A partition of another source has the same numbers: its inputs bear other times.
    """
    e, d = schema.event, schema.dead_letter
    same = (e.c.stream_id == d.c.stream_id, e.c.partition == d.c.partition)
    joined = d.join(e, sa.and_(*same, e.c.offset == d.c.offset))
    offsets = [letter.offset for letter in letters]
    query = (
        sa.select(e.c.offset, e.c.key, e.c.received_ms)
        .select_from(joined)
        .where(d.c.stream_id == stream.id, d.c.partition == letters[0].partition)
        .where(d.c.offset.between(min(offsets), max(offsets)))
        .where(e.c.key.is_not(None), e.c.received_ms == d.c.timestamp_ms)
        .order_by(e.c.key)
    )
    found = connection.execute(query)
    return [{"at": at, "digest": key, "appended_ms": ms} for at, key, ms in found]


def taken(
    connection: sa.Connection, stream: StreamRow, letters: Sequence[DeadLetter]
) -> frozenset[str]:
    """Return the ids of dead letters that belong to another event by now."""
    keys = {letter.key for letter in letters} - {None}
    if not keys:
        return frozenset()
    t = schema.event_key
    here = (t.c.stream_id == stream.id, t.c.kind == EVENT, t.c.digest.in_(keys))
    return frozenset(connection.execute(sa.select(t.c.digest).where(*here)).scalars())


def claim_again(
    connection: sa.Connection, stream: StreamRow, letters: Sequence[DeadLetter], now_ms: int
) -> bool:
    """Give replayed dead letters their ids back; return whether all of them could have theirs."""
    keys = sorted(letter.key for letter in letters if letter.key is not None)
    rows = [
        {"stream_id": stream.id, "kind": EVENT, "digest": key, "created_ms": now_ms} for key in keys
    ]
    return len(upsert.claim(connection, schema.event_key, rows, "digest")) == len(keys)
