"""The one transaction of a batch, and the closing of windows.

The rule: an effect commits only in the transaction that advances the cursor that caused it.
A worker says from which offset to which it has counted; the position moves only if it still
stands at *from* (compare-and-set). If it does not, another worker has moved it: the whole
batch is dropped and read again from where the database says (``Fenced``). That is the entire
rebalance protocol.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any

import msgspec
import sqlalchemy as sa

from tidegauge_probes.counts import panes as counts
from tidegauge_probes.counts import text_sample
from tidegauge_probes.counts.panes import PaneCounts
from tidegauge_service.clock import window_start
from tidegauge_service.errors import Fenced, Superseded
from tidegauge_service.store import schema, streams, upsert
from tidegauge_service.store.ingest import event_keys
from tidegauge_service.store.ingest.counted import PaneKey, Sample
from tidegauge_service.store.ingest.dead_letter import DeadLetter
from tidegauge_service.store.streams import CLOSED, CUT, REPLAYED, StreamRow


@dataclass(frozen=True, slots=True)
class PartitionBatch:
    """What a worker counted in one partition, ``from_offset`` up to (not with) ``to_offset``.

    ``panes``: the running counts of each window and ProbeSet it touched, this batch included.
    ``added``: this batch's records by window; ``late``: those that are not among them, because
    the partition had passed their window (``ingest.lateness``). ``watermark_ms`` never falls in
    the database.
    ``replayed``: the dead letters that its records were, which are dead letters no more.
    ``tombstones``: offsets skipped because their records have no value.
    ``mark``: the source's note of where ``to_offset`` is, or of a place before it.
    """

    partition: int
    from_offset: int
    to_offset: int
    watermark_ms: int | None = None
    latest_event_ms: int | None = None
    end_offset: int | None = None
    drained: bool = False
    panes: Mapping[PaneKey, PaneCounts] = field(default_factory=dict)
    added: Mapping[int, int] = field(default_factory=dict)
    late: Mapping[int, int] = field(default_factory=dict)
    samples: Sequence[Sample] = ()
    dead_letters: Sequence[DeadLetter] = ()
    replayed: Sequence[DeadLetter] = ()
    tombstones: int = 0
    mark: str | None = None


def commit(
    connection: sa.Connection,
    stream: StreamRow,
    batches: Sequence[PartitionBatch],
    *,
    owner: str,
    now_ms: int,
) -> int | None:
    """Move the positions and write what was counted; return the stream's closed-through.

    Raises Fenced, with nothing written, if any position was moved by somebody else; Superseded
    if the deployments are not those of ``stream.epoch`` any more.
    """
    ordered = sorted(batches, key=lambda batch: batch.partition)
    for batch in ordered:
        _advance(connection, stream, batch, owner, now_ms)
    # Under the partitions' locks: whoever changes the deployments needs all of them.
    counted = next((batch for batch in ordered if batch.added), None)
    if counted and streams.epoch(connection, stream.id) != stream.epoch:
        raise Superseded(counted.partition)
    # Closing needs all partition rows of the stream; while we hold one it cannot move. But a
    # closer that began before the row of the replayed existed does not wait for that row.
    replays = any(batch.partition == REPLAYED for batch in ordered)
    closed = streams.cursor(connection, stream.id, CLOSED, lock=replays)
    _write(connection, stream, ordered, closed, now_ms)
    return closed


def _advance(
    connection: sa.Connection, stream: StreamRow, batch: PartitionBatch, owner: str, now_ms: int
) -> None:
    t = schema.stream_partition
    moved = connection.execute(
        sa.update(t)
        .where(
            t.c.stream_id == stream.id,
            t.c.partition == batch.partition,
            t.c.next_offset == batch.from_offset,
        )
        .values(
            next_offset=batch.to_offset,
            watermark_ms=_never_falls(t.c.watermark_ms, batch.watermark_ms),
            latest_event_ms=_never_falls(t.c.latest_event_ms, batch.latest_event_ms),
            end_offset=sa.func.coalesce(batch.end_offset, t.c.end_offset),
            end_ms=t.c.end_ms if batch.end_offset is None else now_ms,
            heard_ms=now_ms if batch.to_offset > batch.from_offset else t.c.heard_ms,
            drained=batch.drained,
            tombstones=t.c.tombstones + batch.tombstones,
            records=t.c.records + sum(batch.added.values()) + sum(batch.late.values()),
            mark=t.c.mark if batch.mark is None else batch.mark,
            owner=owner,
            moved_ms=_when_it_rises(t, batch.watermark_ms, now_ms),
            updated_ms=now_ms,
        )
    )
    if moved.rowcount != 1:
        raise Fenced(batch.partition)


def _never_falls(column: sa.Column[int], value: int | None) -> sa.ColumnElement[int]:
    if value is None:
        return column
    return sa.case((column > value, column), else_=value)


def _when_it_rises(t: sa.Table, value: int | None, now_ms: int) -> sa.ColumnElement[int]:
    if value is None:
        return t.c.moved_ms
    stands = t.c.watermark_ms >= value
    return sa.case((stands, t.c.moved_ms), else_=now_ms)


def _write(
    connection: sa.Connection,
    stream: StreamRow,
    batches: Sequence[PartitionBatch],
    closed: int | None,
    now_ms: int,
) -> None:
    """Write what was counted: of each table the rows of all partitions at once."""
    wheres = [{"stream_id": stream.id, "partition": batch.partition} for batch in batches]
    for batch in batches:
        _count_late(connection, stream, batch, closed)
    panes = [
        {
            **where,
            "window_start_ms": w,
            "probe_set": probe_set,
            "records": pane.records,
            "counts": pane.encode(),
            "texts": None if pane.texts is None else pane.texts.encode(),
        }
        for where, batch in zip(wheres, batches, strict=True)
        for (w, probe_set), pane in sorted(batch.panes.items(), key=itemgetter(0))
        if not is_closed(w, closed)
    ]
    upsert.replace(connection, schema.pane, panes)
    samples = [
        {**where, **_sample(sample)}
        for where, batch in zip(wheres, batches, strict=True)
        for sample in batch.samples
        if not is_closed(sample.window_start_ms, closed)
    ]
    upsert.keep(connection, schema.sample, samples)
    for where, batch in zip(wheres, batches, strict=True):
        _write_dead_letters(connection, where, batch.dead_letters, now_ms)
        event_keys.release(connection, stream, batch.dead_letters)
        if batch.replayed:
            _end_dead_letters(connection, batch.partition, stream, batch.replayed)
            if not event_keys.claim_again(connection, stream, batch.replayed, now_ms):
                raise Fenced(batch.partition)


def _count_late(
    connection: sa.Connection, stream: StreamRow, batch: PartitionBatch, closed: int | None
) -> None:
    late = Counter(batch.late)
    late.update({w: n for w, n in batch.added.items() if is_closed(w, closed)})
    if not late:
        return
    where = {"stream_id": stream.id, "partition": batch.partition}
    counts = [{**where, "window_start_ms": w, "n": n} for w, n in sorted(late.items())]
    upsert.add(connection, schema.late_count, counts, "n")
    t = schema.stream_partition
    connection.execute(
        sa.update(t)
        .where(t.c.stream_id == stream.id, t.c.partition == batch.partition)
        .values(late=t.c.late + sum(late.values()))
    )


def _write_dead_letters(
    connection: sa.Connection, where: Mapping[str, int], letters: Sequence[DeadLetter], now_ms: int
) -> None:
    if not letters:
        return
    rows = [
        {
            **where,
            "offset": letter.offset,
            "reason": letter.reason,
            "detail": letter.detail,
            "payload": letter.payload,
            "size": letter.size,
            "received_ms": now_ms,
            "timestamp_ms": letter.timestamp_ms,
        }
        for letter in letters
    ]
    upsert.keep(connection, schema.dead_letter, rows)
    reasons = Counter(letter.reason for letter in letters)
    counts = [
        {**where, "reason": reason, "received": n, "replayed": 0}
        for reason, n in sorted(reasons.items())
    ]
    upsert.add(connection, schema.dead_letter_count, counts, "received")


def _end_dead_letters(
    connection: sa.Connection, partition: int, stream: StreamRow, letters: Sequence[DeadLetter]
) -> None:
    """Remove what this transaction has counted; Fenced if any of it is gone already."""
    t, c = schema.dead_letter, schema.dead_letter_count
    places = [(letter.partition, letter.offset) for letter in letters]
    removed = connection.execute(
        sa.delete(t).where(
            t.c.stream_id == stream.id, sa.tuple_(t.c.partition, t.c.offset).in_(places)
        )
    )
    if removed.rowcount != len(places):
        raise Fenced(partition)
    ended = Counter((letter.partition, letter.reason) for letter in letters)
    for (of, reason), n in sorted(ended.items()):
        here = (c.c.stream_id == stream.id, c.c.partition == of, c.c.reason == reason)
        connection.execute(sa.update(c).where(*here).values(replayed=c.c.replayed + n))


def _sample(sample: Sample) -> dict[str, Any]:
    """Return the columns of a sample but those that say whose it is."""
    return {
        "window_start_ms": sample.window_start_ms,
        "offset": sample.offset,
        "priority": sample.priority,
        "buckets": msgspec.json.encode(sample.buckets).decode(),
        "record_id": sample.record_id,
        "timestamp_ms": sample.timestamp_ms,
        "payload": sample.payload,
        "outcomes": sample.outcomes,
        "segments": msgspec.json.encode(sample.segments).decode(),
    }


def is_closed(window_start_ms: int, closed_through_ms: int | None) -> bool:
    """Whether a window is frozen: its records are late now."""
    return closed_through_ms is not None and window_start_ms < closed_through_ms


@dataclass(frozen=True, slots=True)
class PartitionState:
    """What the owner of a partition keeps in memory, as the database has it."""

    next_offset: int
    drained: bool
    panes: Mapping[PaneKey, PaneCounts]
    sampled: Mapping[int, Sequence[tuple[int, tuple[str, ...]]]]
    """Window → (priority, buckets) of the samples kept so far."""
    topic_id: str | None = None
    end_offset: int | None = None
    latest_event_ms: int | None = None


def load_partition(
    connection: sa.Connection, stream: StreamRow, partition: int
) -> PartitionState | None:
    """Read the state of a partition: after an assignment, a fence, or a failed commit.

    None if the stream has no such partition (yet).
    """
    rows = streams.partitions(connection, stream.id)
    row = next((row for row in rows if row.partition == partition), None)
    if row is None:
        return None
    closed = streams.cursor(connection, stream.id, CLOSED) or 0
    panes = _load_panes(connection, stream, partition, closed)
    sampled = _load_sampled(connection, stream, partition, closed)
    return PartitionState(
        row.next_offset,
        row.drained,
        panes,
        sampled,
        row.topic_id,
        row.end_offset,
        row.latest_event_ms,
    )


def _load_panes(
    connection: sa.Connection, stream: StreamRow, partition: int, closed: int
) -> dict[PaneKey, PaneCounts]:
    t = schema.pane
    query = sa.select(t.c.window_start_ms, t.c.probe_set, t.c.counts, t.c.texts).where(
        t.c.stream_id == stream.id,
        t.c.partition == partition,
        t.c.window_start_ms >= closed,
    )
    rows = connection.execute(query)
    return {
        (start, probe_set): replace(
            counts.decode(encoded), texts=None if texts is None else text_sample.decode(texts)
        )
        for start, probe_set, encoded, texts in rows
    }


def _load_sampled(
    connection: sa.Connection, stream: StreamRow, partition: int, closed: int
) -> dict[int, list[tuple[int, tuple[str, ...]]]]:
    t = schema.sample
    query = sa.select(t.c.window_start_ms, t.c.priority, t.c.buckets).where(
        t.c.stream_id == stream.id, t.c.partition == partition, t.c.window_start_ms >= closed
    )
    found: dict[int, list[tuple[int, tuple[str, ...]]]] = {}
    for start, priority, buckets in connection.execute(query):
        found.setdefault(start, []).append((priority, tuple(json.loads(buckets))))
    return found


def close_windows(connection: sa.Connection, stream: StreamRow) -> int | None:
    """Close every window that the watermark has passed; return closed-through.

    Holds all partition rows (in order, as commits do) while it moves the cursor, so that no
    commit can add to a window that has just closed.
    """
    t = schema.stream_partition
    query = sa.select(t.c.watermark_ms, t.c.latest_event_ms, t.c.drained)
    query = query.where(t.c.stream_id == stream.id).order_by(t.c.partition).with_for_update()
    rows = [tuple(row) for row in connection.execute(query)]
    closed = streams.cursor(connection, stream.id, CLOSED)
    target = _close_through(rows, stream)
    if target is None or (closed is not None and target <= closed):
        return closed
    streams.move_cursor(connection, stream.id, CLOSED, target)
    if all(drained for *_, drained in rows):
        streams.move_cursor(connection, stream.id, CUT, target)
    return target


def _close_through(
    rows: Sequence[tuple[int | None, int | None, bool]], stream: StreamRow
) -> int | None:
    """Return the window boundary that the partitions allow, or None.

    A drained partition (the end of a file, or of a topic that is read to its end) promises
    nothing more, so it does not hold the others; when all are drained everything closes.

    With windows of 10, lateness 2 and watermarks 25 and 31: min(25, 31) − 2 = 23 → 20. With
    the first drained: 31 − 2 = 29 → 20. Both drained, last event 31: 40.
    """
    if not rows:
        return None
    live = [watermark for watermark, _, drained in rows if not drained]
    if not live:
        latest = [event for _, event, _ in rows if event is not None]
        if not latest:
            return None
        return window_start(max(latest), stream.window_ms) + stream.window_ms
    known = [watermark for watermark in live if watermark is not None]
    if len(known) < len(live):
        return None
    return window_start(min(known) - stream.lateness_ms, stream.window_ms)
