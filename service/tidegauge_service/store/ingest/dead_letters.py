"""Dead letters: listed, fetched, dropped. ``commit`` writes them, and ends those replayed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from tidegauge_service.store import schema
from tidegauge_service.store.ingest.dead_letter import DeadLetter
from tidegauge_service.store.streams import StreamRow

DROPPED_AT_ONCE = 1_000
"""Maximum rows that a transaction deletes: workers wait for it."""


@dataclass(frozen=True, slots=True)
class KeptLetter:
    """A dead letter and when it came."""

    letter: DeadLetter
    received_ms: int

    @property
    def place(self) -> Place:
        """Where it stands in the order of pages."""
        return self.received_ms, self.letter.partition, self.letter.offset


Place = tuple[int, int, int]
"""Arrival time, partition, offset: the order of pages, newest first."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Dead letters of one reason. What was neither kept nor replayed was dropped or pruned."""

    reason: str
    received: int
    kept: int
    replayed: int


@dataclass(frozen=True, slots=True)
class DeadLetterFilter:
    """Which dead letters; ``None`` does not restrict. Came before *before_ms*."""

    reason: str | None = None
    before_ms: int | None = None

    def conditions(self, stream: StreamRow) -> list[sa.ColumnElement[bool]]:
        """Return what the rows must fulfil."""
        t = schema.dead_letter
        found = [t.c.stream_id == stream.id]
        if self.reason is not None:
            found.append(t.c.reason == self.reason)
        if self.before_ms is not None:
            found.append(t.c.received_ms < self.before_ms)
        return found


def page(
    connection: sa.Connection,
    stream: StreamRow,
    wanted: DeadLetterFilter,
    *,
    limit: int,
    after: Place | None = None,
    most_bytes: int = 4_096,
) -> list[KeptLetter]:
    """Return up to *limit* dead letters, newest first, with *most_bytes* of each payload."""
    t = schema.dead_letter
    place = (t.c.received_ms, t.c.partition, t.c.offset)
    query = _select(sa.func.substr(t.c.payload, 1, most_bytes)).where(*wanted.conditions(stream))
    if after is not None:
        query = query.where(sa.tuple_(*place) < sa.tuple_(*after))
    query = query.order_by(*(column.desc() for column in place)).limit(limit)
    return [_kept(row) for row in connection.execute(query)]


def find(
    connection: sa.Connection, stream: StreamRow, partition: int, offset: int
) -> KeptLetter | None:
    """Return one dead letter with all of its payload that was kept."""
    t = schema.dead_letter
    here = (t.c.stream_id == stream.id, t.c.partition == partition, t.c.offset == offset)
    row = connection.execute(_select(t.c.payload).where(*here)).one_or_none()
    return None if row is None else _kept(row)


def by_position(
    connection: sa.Connection,
    stream: StreamRow,
    wanted: DeadLetterFilter,
    *,
    limit: int,
    after: tuple[int, int] | None = None,
) -> list[DeadLetter]:
    """Return up to *limit* whole dead letters after a (partition, offset)."""
    t = schema.dead_letter
    query = _select(t.c.payload).where(*wanted.conditions(stream))
    if after is not None:
        query = query.where(sa.tuple_(t.c.partition, t.c.offset) > sa.tuple_(*after))
    query = query.order_by(t.c.partition, t.c.offset).limit(limit)
    return [_kept(row).letter for row in connection.execute(query)]


def tallies(connection: sa.Connection, stream: StreamRow) -> list[Tally]:
    """Return how many there were and are, by reason."""
    t, c = schema.dead_letter, schema.dead_letter_count
    kept = sa.select(t.c.reason, sa.func.count().label("n")).where(t.c.stream_id == stream.id)
    ever = sa.select(c.c.reason, sa.func.sum(c.c.received), sa.func.sum(c.c.replayed))
    ever = ever.where(c.c.stream_id == stream.id).group_by(c.c.reason).order_by(c.c.reason)
    now = {row.reason: row.n for row in connection.execute(kept.group_by(t.c.reason))}
    return [
        Tally(reason, int(received), now.get(reason, 0), int(replayed))
        for reason, received, replayed in connection.execute(ever)
    ]


def drop(connection: sa.Connection, stream: StreamRow, wanted: DeadLetterFilter) -> int:
    """Delete up to ``DROPPED_AT_ONCE`` dead letters; return how many. Their count stays."""
    t = schema.dead_letter
    key = (t.c.partition, t.c.offset)
    some = sa.select(*key).where(*wanted.conditions(stream)).order_by(*key).limit(DROPPED_AT_ONCE)
    doomed = sa.delete(t).where(t.c.stream_id == stream.id, sa.tuple_(*key).in_(some))
    return connection.execute(doomed).rowcount


def _select(payload: sa.ColumnElement[Any]) -> sa.Select[Any]:
    t = schema.dead_letter
    columns = (t.c.partition, t.c.offset, t.c.reason, t.c.detail, t.c.size, t.c.timestamp_ms)
    return sa.select(*columns, t.c.key, t.c.received_ms, payload.label("payload"))


def _kept(row: Any) -> KeptLetter:
    letter = DeadLetter(
        row.partition,
        row.offset,
        row.reason,
        row.detail,
        bytes(row.payload or b""),  # SQLite's substr of nothing is NULL
        row.size,
        row.timestamp_ms,
        row.key,
    )
    return KeptLetter(letter, row.received_ms)
