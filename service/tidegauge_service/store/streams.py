"""Streams: their row, their partitions and cursors, their ProbeSet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from pydantic import ValidationError

from tidegauge_probes.probe_set import Layout, ProbeSet
from tidegauge_service.errors import SettingsError, StoreError
from tidegauge_service.store import schema, upsert
from tidegauge_service.store.engine import Database
from tidegauge_service.stream_config import StreamConfig

CLOSED, EVALUATED = "closed", "evaluated"

REPLAYED = -1
"""The partition of dead letters that were replayed: its position counts them. The owners of the
other partitions keep their panes in memory and replace them whole, so replays have panes of their
own. It is always drained: it holds no watermark."""


@dataclass(frozen=True, slots=True)
class StreamRow:
    """A stream as the database knows it."""

    id: int
    name: str
    window_ms: int
    lateness_ms: int
    probe_set: str
    baseline: str | None


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


def register(
    database: Database, config: StreamConfig, probe_set: ProbeSet, now_ms: int
) -> StreamRow:
    """Create the stream, or find it as it was created.

    SettingsError if its windows or LFs are not those it was created with: its counts could
    not be compared any more.
    """
    found = find(database, config.name)
    if found is None:
        with database.write() as connection:
            _insert(connection, config, probe_set, now_ms)
        found = find(database, config.name)
    if found is None:
        msg = f"stream '{config.name}' vanished while it was being created"
        raise StoreError(msg)
    _refuse_changes(found, config, probe_set)
    _keep_current(database, found, config)
    return found


def _keep_current(database: Database, found: StreamRow, config: StreamConfig) -> None:
    """Write the configuration that runs now: the API and retention read it."""
    t = schema.stream
    text = config.model_dump_json(by_alias=True)
    with database.write() as connection:
        connection.execute(
            sa.update(t).where(t.c.id == found.id, t.c.config != text).values(config=text)
        )


def config_of(connection: sa.Connection, stream_id: int) -> StreamConfig:
    """Return the configuration that the stream was last opened with, without its secrets."""
    t = schema.stream
    text = connection.execute(sa.select(t.c.config).where(t.c.id == stream_id)).scalar_one()
    try:
        return StreamConfig.model_validate_json(text)
    except ValidationError as error:
        msg = (
            f"another version of tidegauge has opened stream {stream_id}, and this one cannot read "
            "its configuration: start `tidegauge run` of this version on its stream file"
        )
        raise StoreError(msg) from error


def mutes(connection: sa.Connection) -> dict[int, list[str]]:
    """Return stream → the times in which nobody is told of it, as written."""
    t = schema.stream
    found = connection.execute(sa.select(t.c.id, t.c.config))
    written = {
        stream: json.loads(config).get("alerts", {}).get("mute", []) for stream, config in found
    }
    return {stream: times for stream, times in written.items() if times}


def _insert(
    connection: sa.Connection, config: StreamConfig, probe_set: ProbeSet, now_ms: int
) -> None:
    layout = probe_set.layout
    row = {
        "id": probe_set.id,
        "origin": probe_set.origin,
        "layout": json.dumps([layout.probes, layout.classes, layout.labels]),
        "description": json.dumps([probe.description() for probe in probe_set.probes]),
        "created_ms": now_ms,
    }
    upsert.keep(connection, schema.probe_set, [row])
    stream = {
        "name": config.name,
        "config": config.model_dump_json(by_alias=True),
        "window_ms": config.window,
        "lateness_ms": config.lateness,
        "probe_set": probe_set.id,
        "created_ms": now_ms,
    }
    upsert.keep(connection, schema.stream, [stream])
    table = schema.stream
    stream_id = connection.execute(
        sa.select(table.c.id).where(table.c.name == config.name)
    ).scalar_one()
    cursors = [{"stream_id": stream_id, "kind": kind} for kind in (CLOSED, EVALUATED)]
    upsert.keep(connection, schema.cursor, cursors)


def _refuse_changes(found: StreamRow, config: StreamConfig, probe_set: ProbeSet) -> None:
    changed = {
        "window": (found.window_ms, config.window),
        "lateness": (found.lateness_ms, config.lateness),
        "probes": (found.probe_set, probe_set.id),
    }
    for what, (before, now) in changed.items():
        if before != now:
            msg = (
                f"stream '{config.name}' was created with another `{what}` ({before}, now {now}): "
                f"its counts cannot be compared. Give the changed stream a new `name`, or put "
                f"`{what}` back"
            )
            raise SettingsError(msg)


def find(database: Database, name: str) -> StreamRow | None:
    """Return the stream of that name."""
    with database.read() as connection:
        return next((s for s in select_streams(connection) if s.name == name), None)


def select_streams(connection: sa.Connection) -> list[StreamRow]:
    """Return all streams, by name."""
    t = schema.stream
    columns = (t.c.id, t.c.name, t.c.window_ms, t.c.lateness_ms, t.c.probe_set, t.c.baseline)
    rows = connection.execute(sa.select(*columns).order_by(t.c.name))
    return [StreamRow(*row) for row in rows]


def layout_of(connection: sa.Connection, probe_set: str) -> Layout:
    """Return the names that a ProbeSet's counts are over."""
    t = schema.probe_set
    text = connection.execute(sa.select(t.c.layout).where(t.c.id == probe_set)).scalar_one()
    probes, classes, labels = json.loads(text)
    return Layout(tuple(probes), tuple(classes), tuple(tuple(k) for k in labels))


def seed_partitions(
    database: Database,
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
    with database.write() as connection:
        upsert.keep(connection, schema.stream_partition, rows)


def partitions(connection: sa.Connection, stream_id: int) -> list[PartitionRow]:
    """Return the stream's partitions, in order."""
    t = schema.stream_partition
    columns = (
        t.c.partition,
        t.c.next_offset,
        t.c.end_offset,
        t.c.watermark_ms,
        t.c.latest_event_ms,
        t.c.drained,
        t.c.records,
        t.c.late,
        t.c.owner,
        t.c.topic_id,
        t.c.moved_ms,
    )
    query = sa.select(*columns).where(t.c.stream_id == stream_id).order_by(t.c.partition)
    return [PartitionRow(*row) for row in connection.execute(query)]


def mark_stale(
    connection: sa.Connection, stream_id: int, before_ms: int | None, now_ms: int | None
) -> bool:
    """Note since when the watermark stands still, or None: it moves. By compare-and-set."""
    t = schema.stream
    changed = connection.execute(
        sa.update(t)
        .where(t.c.id == stream_id, t.c.stale_ms.is_not_distinct_from(before_ms))
        .values(stale_ms=now_ms)
    )
    return changed.rowcount == 1


def stale_since(connection: sa.Connection, stream_id: int) -> int | None:
    """Return since when the watermark stood still when people were told of it."""
    t = schema.stream
    value = connection.execute(sa.select(t.c.stale_ms).where(t.c.id == stream_id)).scalar_one()
    return None if value is None else int(value)


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
