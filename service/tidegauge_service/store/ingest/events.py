"""The `log` source's events: appended by the API, read by workers.

Offsets of a partition have no gaps and become visible in their order. An appender takes them from
the partition's row, which stays locked until its transaction ends: whoever takes the next ones
waits for that. (A sequence would not do: of two transactions the later one may commit first, and
a reader that has seen its offsets would never go back for the earlier ones.)

Every transaction takes its locks in one order: the request's key, the events' keys (sorted),
the partitions (ascending).
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import sqlalchemy as sa

from tidegauge_service.config.sources import LogSource
from tidegauge_service.errors import ServiceError, SourceError
from tidegauge_service.store import schema, upsert
from tidegauge_service.store.ingest.event_keys import EVENT
from tidegauge_service.store.streams import StreamRow

REQUEST: Final = "request"


class BacklogFull(ServiceError):  # noqa: N818  (a state, not a fault)
    """Too much waits to be counted; nothing was appended."""


class KeyReused(ServiceError):  # noqa: N818  (the caller's mistake)
    """The request's key was given with another body; nothing was appended."""


@dataclass(frozen=True, slots=True)
class Event:
    """An event to append; one with a key that came before is left out."""

    payload: bytes
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What a request is known by: its key, and a digest of its body."""

    key: str
    body: str


@dataclass(frozen=True, slots=True)
class Appended:
    """What became of a request's events."""

    appended: int
    duplicates: int


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event at its place."""

    offset: int
    payload: bytes
    received_ms: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits to be counted."""

    events: int
    bytes: int


def digest(key: str | bytes) -> str:
    """Return 128 bits that stand for a key or a body."""
    data = key.encode("utf-8", "surrogatepass") if isinstance(key, str) else key
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def append(
    connection: sa.Connection,
    stream: StreamRow,
    source: LogSource,
    events: Sequence[Event],
    *,
    now_ms: int,
    request: Request | None = None,
) -> tuple[Appended, bool]:
    """Append events in one transaction; return what was done, and whether it had been before.

    Raises BacklogFull, KeyReused.
    """
    if request is not None:
        before = _claim_request(connection, stream, request, now_ms)
        if before is not None:
            return before, True
    fresh = _fresh(connection, stream, events, now_ms)
    _check_backlog(connection, stream, source, fresh)
    for partition, share in sorted(_divide(connection, stream, fresh).items()):
        _append_to(connection, stream, partition, share, now_ms)
    answer = Appended(len(fresh), len(events) - len(fresh))
    if request is not None:
        _answer(connection, stream, request, answer)
    return answer, False


def _claim_request(
    connection: sa.Connection, stream: StreamRow, request: Request, now_ms: int
) -> Appended | None:
    """Return what the request was answered before, or None if it is new.

    If it is under way in another transaction, this waits for its end.
    """
    t, key = schema.event_key, digest(request.key)
    row = {**_key_row(stream, REQUEST, key, now_ms), "body": request.body}
    if upsert.claim(connection, t, [row], "digest"):
        return None
    query = sa.select(t.c.body, t.c.answer).where(*_same_key(stream, key))
    found = connection.execute(query).one_or_none()
    if found is None:  # retired just now: it is as old as that
        return _claim_request(connection, stream, request, now_ms)
    if found.body != request.body:
        msg = "this key was already used with another body: use a new key for new events"
        raise KeyReused(msg)
    return Appended(**json.loads(found.answer))


def _same_key(stream: StreamRow, key: str) -> tuple[sa.ColumnElement[bool], ...]:
    t = schema.event_key
    return (t.c.stream_id == stream.id, t.c.kind == REQUEST, t.c.digest == key)


def _answer(
    connection: sa.Connection, stream: StreamRow, request: Request, answer: Appended
) -> None:
    same = _same_key(stream, digest(request.key))
    said = json.dumps(asdict(answer))
    connection.execute(sa.update(schema.event_key).where(*same).values(answer=said))


def _key_row(stream: StreamRow, kind: str, key: str, now_ms: int) -> dict[str, object]:
    return {"stream_id": stream.id, "kind": kind, "digest": key, "created_ms": now_ms}


def _fresh(
    connection: sa.Connection, stream: StreamRow, events: Sequence[Event], now_ms: int
) -> list[Event]:
    """Return the events whose key is new, and those without one; the first of equals counts."""
    first: dict[str, int] = {}
    for i, event in enumerate(events):
        if event.key is not None:
            first.setdefault(digest(event.key), i)
    rows = [_key_row(stream, EVENT, key, now_ms) for key in sorted(first)]
    new = upsert.claim(connection, schema.event_key, rows, "digest")
    chosen = {i for key, i in first.items() if key in new}
    return [event for i, event in enumerate(events) if event.key is None or i in chosen]


def _check_backlog(
    connection: sa.Connection, stream: StreamRow, source: LogSource, events: Sequence[Event]
) -> None:
    waiting = backlog(connection, stream)
    n, size = len(events), sum(len(event.payload) for event in events)
    full = (
        waiting.events + n > source.max_backlog or waiting.bytes + size > source.max_backlog_bytes
    )
    if full and waiting.events and n:  # with nothing waiting, a large request must go through
        msg = (
            f"{waiting.events} events ({waiting.bytes} bytes) are waiting to be counted. "
            f"With these {n}, they would exceed source.max_backlog "
            f"({source.max_backlog}) or source.max_backlog_bytes "
            f"({source.max_backlog_bytes}). Check that `tidegauge run` is counting them, "
            "and send the same request again later"
        )
        raise BacklogFull(msg)


def backlog(connection: sa.Connection, stream: StreamRow) -> Backlog:
    """Return what waits to be counted; cheap, however much it is."""
    e, p, s = schema.event, schema.event_partition, schema.stream_partition
    next_offset = sa.func.coalesce(s.c.next_offset, 0)
    position = sa.and_(s.c.stream_id == p.c.stream_id, s.c.partition == p.c.partition)
    first = sa.and_(
        e.c.stream_id == p.c.stream_id, e.c.partition == p.c.partition, e.c.offset == next_offset
    )
    query = (
        sa.select(
            sa.func.coalesce(sa.func.sum(p.c.next_offset - next_offset), 0),
            # The partition ends at p.bytes and the first that waits begins at e.at_byte; if none
            # waits there is no such row.
            sa.func.coalesce(sa.func.sum(p.c.bytes - e.c.at_byte), 0),
        )
        .select_from(p.outerjoin(s, position).outerjoin(e, first))
        .where(p.c.stream_id == stream.id)
    )
    events, size = connection.execute(query).one()
    return Backlog(int(events), int(size))


def _divide(
    connection: sa.Connection, stream: StreamRow, events: Sequence[Event]
) -> dict[int, list[Event]]:
    """Spread events over the partitions: by their key, or in turn from a random one on."""
    t = schema.event_partition
    query = sa.select(t.c.partition).where(t.c.stream_id == stream.id).order_by(t.c.partition)
    partitions = list(connection.execute(query).scalars())
    turn = random.randrange(len(partitions))  # noqa: S311  (to share the work)
    found: dict[int, list[Event]] = {}
    for i, event in enumerate(events, turn):
        place = i if event.key is None else int(digest(event.key)[:8], 16)
        found.setdefault(partitions[place % len(partitions)], []).append(event)
    return found


def _append_to(
    connection: sa.Connection,
    stream: StreamRow,
    partition: int,
    events: Sequence[Event],
    now_ms: int,
) -> None:
    """Take the next offsets and write; the partition's row stays locked until the commit."""
    t = schema.event_partition
    size = sum(len(event.payload) for event in events)
    taken = connection.execute(
        sa.update(t)
        .where(t.c.stream_id == stream.id, t.c.partition == partition)
        .values(next_offset=t.c.next_offset + len(events), bytes=t.c.bytes + size)
        .returning(t.c.next_offset, t.c.bytes)
    ).one()
    offset, at_byte = taken.next_offset - len(events), taken.bytes - size
    rows = []
    for event in events:
        key = None if event.key is None else digest(event.key)
        row = {"offset": offset, "key": key, "payload": event.payload, "at_byte": at_byte}
        rows.append({"stream_id": stream.id, "partition": partition, "received_ms": now_ms, **row})
        offset, at_byte = offset + 1, at_byte + len(event.payload)
    connection.execute(sa.insert(schema.event), rows)


def make_partitions(connection: sa.Connection, stream: StreamRow, partitions: int) -> list[int]:
    """Make the partitions that there are not yet; return all."""
    t = schema.event_partition
    rows = [
        {"stream_id": stream.id, "partition": p, "next_offset": 0, "bytes": 0}
        for p in range(partitions)
    ]
    upsert.keep(connection, t, rows)
    query = sa.select(t.c.partition).where(t.c.stream_id == stream.id)
    return sorted(connection.execute(query).scalars())


def firsts(connection: sa.Connection, stream: StreamRow) -> dict[int, int]:
    """Return the first offset that each partition holds; where there is no event, the next one."""
    t, p = schema.event, schema.event_partition
    here = (t.c.stream_id == p.c.stream_id) & (t.c.partition == p.c.partition)
    first = sa.func.coalesce(sa.func.min(t.c.offset), p.c.next_offset)
    query = sa.select(p.c.partition, first).outerjoin(t, here)
    query = query.where(p.c.stream_id == stream.id).group_by(p.c.partition, p.c.next_offset)
    return {partition: int(offset) for partition, offset in connection.execute(query)}


def ends(connection: sa.Connection, stream: StreamRow, partitions: Sequence[int]) -> dict[int, int]:
    """Return the offset after the last event of partitions."""
    t = schema.event_partition
    query = sa.select(t.c.partition, t.c.next_offset).where(t.c.stream_id == stream.id)
    found = {row.partition: row.next_offset for row in connection.execute(query)}
    return {p: found[p] for p in partitions if p in found}


def read(
    connection: sa.Connection,
    stream: StreamRow,
    partition: int,
    offset: int,
    *,
    most: int,
    most_bytes: int,
) -> list[StoredEvent]:
    """Return up to *most* events from *offset* on, the last of which reaches *most_bytes*.

    SourceError if one of them is not there.
    """
    t = schema.event
    waiting = (t.c.stream_id == stream.id, t.c.partition == partition, t.c.offset >= offset)
    first = sa.select(t.c.at_byte).where(*waiting).order_by(t.c.offset).limit(1).scalar_subquery()
    query = (
        sa.select(t.c.offset, t.c.payload, t.c.received_ms)
        .where(*waiting, t.c.at_byte < first + most_bytes)
        .order_by(t.c.offset)
        .limit(most)
    )
    rows = connection.execute(query).all()
    found = [StoredEvent(row.offset, bytes(row.payload), row.received_ms) for row in rows]
    for expected, event in enumerate(found, offset):
        if event.offset != expected:
            msg = (
                f"event {expected} of partition {partition} of '{stream.name}' is "
                f"missing, but event {event.offset} exists. Check whether rows were "
                "deleted from the table `event` by hand"
            )
            raise SourceError(msg)
    return found
