"""Streams: their row, their partitions and cursors, their ProbeSet."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

import sqlalchemy as sa
from pydantic import ValidationError

from tidegauge_probes.drift.civil_time import UTC
from tidegauge_probes.labeling.contents import Contents, read_contents
from tidegauge_probes.labeling.loading import load_contents
from tidegauge_probes.labeling.probe_set import ProbeSet
from tidegauge_probes.model import Layout
from tidegauge_service.config.stream_file import BaselineRange, StreamConfig
from tidegauge_service.errors import SettingsError, StoreError
from tidegauge_service.store import schema, upsert

CLOSED, EVALUATED = "closed", "evaluated"

CUT = "cut"
"""The end of the last window that was closed because its source had ended: no record has shown that
event time got so far, so there may be more of it."""

REPLAYED = -1
"""The partition of replayed dead letters; its position counts them. The owners of the other
partitions keep their panes in memory and replace them whole, so replays have panes of their own. It
is always drained, so it never holds back the watermark."""


class Role(StrEnum):
    """What a deployment is for."""

    LIVE = "live"  # evaluated, raises alerts
    SHADOW = "shadow"  # counted alongside it, nothing else


@dataclass(frozen=True, slots=True)
class StreamRow:
    """A stream as the database knows it.

    ``probe_set``, ``baseline``: of the live deployment that was deployed last, or of the one that
    is live in the current window (``deployments.seen_from``). ``epoch``: how often that changed.
    ``timezone``: in which people are shown its times.
    """

    id: int
    name: str
    window_ms: int
    lateness_ms: int
    probe_set: str
    baseline: str | None
    epoch: int = 0
    timezone: str = UTC


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
    tombstones: int = 0
    """Records without a value, skipped."""
    updated_ms: int = 0
    """When its owner last committed, even if there was nothing new."""
    heard_ms: int | None = None
    """When inputs were last read from it."""
    end_ms: int | None = None
    """When ``end_offset`` was last queried."""

    @property
    def lag(self) -> int | None:
        """Inputs in the source that are not counted yet, as of ``end_ms``; None if not known.

        Never below 0: the end may have been asked for before the last inputs were counted.
        """
        return None if self.end_offset is None else max(0, self.end_offset - self.next_offset)


def register(
    connection: sa.Connection, config: StreamConfig, probe_set: ProbeSet, now_ms: int
) -> StreamRow:
    """Create the stream, or find it as it was created.

    SettingsError if its windows are not those it was created with: its counts could not be
    compared any more. So, too, if its LFs were never deployed: that is for people to decide.
    """
    found = find(connection, config.name)
    if found is None:
        # Another process may be creating it: the insert waits for that process to commit, and
        # what it has written is found next.
        _insert(connection, config, probe_set, now_ms)
        found = find(connection, config.name)
    if found is None:
        msg = f"stream '{config.name}' was removed while it was being created: start again"
        raise StoreError(msg)
    check_registered(connection, found, config, probe_set)
    _keep_current(connection, found, config, probe_set)
    return replace(found, timezone=config.timezone)


def check_registered(
    connection: sa.Connection, found: StreamRow, config: StreamConfig, probe_set: ProbeSet
) -> None:
    """SettingsError if the stream of the database cannot be run with this file and these LFs."""
    _refuse_changes(found, config)
    _refuse_unknown(connection, found, config, probe_set)


def _keep_current(
    connection: sa.Connection, found: StreamRow, config: StreamConfig, probe_set: ProbeSet
) -> None:
    """Write the configuration that runs now: the API and retention read it.

    The range that a baseline will be fitted from may change until it has been, too.
    """
    t, d = schema.stream, schema.deployment
    text = config.model_dump_json(by_alias=True)
    connection.execute(
        sa.update(t)
        .where(t.c.id == found.id, t.c.config != text)
        .values(config=text, timezone=config.timezone)
    )
    if found.baseline is None and found.probe_set == probe_set.id:
        unfitted = (d.c.stream_id == found.id, d.c.until_ms.is_(None), d.c.baseline.is_(None))
        changed = sa.update(d).where(*unfitted, d.c.role == Role.LIVE)
        connection.execute(changed.values(**_range(config)))


def source_kind(connection: sa.Connection, stream_id: int) -> str:
    """Return the kind of source that the stream was last opened with."""
    t = schema.stream
    text = connection.execute(sa.select(t.c.config).where(t.c.id == stream_id)).scalar_one()
    return str(json.loads(text)["source"]["kind"])


def config_of(connection: sa.Connection, stream_id: int) -> StreamConfig:
    """Return the configuration that the stream was last opened with, without its secrets."""
    t = schema.stream
    text = connection.execute(sa.select(t.c.config).where(t.c.id == stream_id)).scalar_one()
    try:
        return StreamConfig.model_validate_json(text)
    except ValidationError as error:
        msg = (
            f"stream {stream_id} was last opened by another version of tidegauge, and "
            "this version cannot read its configuration: run `tidegauge run` of this "
            "version with its stream file"
        )
        raise StoreError(msg) from error


def mutes(connection: sa.Connection) -> dict[int, list[str]]:
    """Return stream → its mute times, as written."""
    t = schema.stream
    found = connection.execute(sa.select(t.c.id, t.c.config))
    written = {
        stream: json.loads(config).get("alerts", {}).get("mute", []) for stream, config in found
    }
    return {stream: times for stream, times in written.items() if times}


def _insert(
    connection: sa.Connection, config: StreamConfig, probe_set: ProbeSet, now_ms: int
) -> None:
    keep_probe_set(connection, probe_set, now_ms)
    stream = {
        "name": config.name,
        "config": config.model_dump_json(by_alias=True),
        "window_ms": config.window,
        "lateness_ms": config.lateness,
        "timezone": config.timezone,
        "created_ms": now_ms,
    }
    for stream_id in upsert.claim(connection, schema.stream, [stream], "id"):
        cursors = [{"stream_id": stream_id, "kind": kind} for kind in (CLOSED, EVALUATED, CUT)]
        upsert.keep(connection, schema.cursor, cursors)
        first = {
            "stream_id": stream_id,
            "probe_set": probe_set.id,
            "reference": config.probes,
            "role": Role.LIVE,
            "from_ms": 0,  # no event is older (``codec``)
            **_range(config),
            "made_as": "first",
            "created_ms": now_ms,
            "created_by": "tidegauge",
        }
        connection.execute(sa.insert(schema.deployment), first)


def keep_probe_set(connection: sa.Connection, probe_set: ProbeSet, now_ms: int) -> None:
    """Keep what stands for a ProbeSet; equal content is kept once."""
    row = {
        "id": probe_set.id,
        "origin": probe_set.origin,
        "layout": json.dumps(asdict(probe_set.layout)),
        "contents": json.dumps(probe_set.contents.document()),
        "created_ms": now_ms,
    }
    upsert.keep(connection, schema.probe_set, [row])


def contents_of(connection: sa.Connection, probe_set: str) -> Contents | None:
    """Return what stands for a ProbeSet, if it was ever deployed here."""
    t = schema.probe_set
    query = sa.select(t.c.contents).where(t.c.id == probe_set)
    text = connection.execute(query).scalar_one_or_none()
    return None if text is None else read_contents(json.loads(text))


def _range(config: StreamConfig) -> dict[str, int | None]:
    chosen = config.baseline
    since, until = None, None
    if isinstance(chosen, BaselineRange):
        since, until = chosen.from_, chosen.until
    return {"range_from_ms": since, "range_until_ms": until}


def _refuse_unknown(
    connection: sa.Connection, found: StreamRow, config: StreamConfig, probe_set: ProbeSet
) -> None:
    d = schema.deployment
    mine = (d.c.stream_id == found.id, d.c.probe_set == probe_set.id)
    if connection.execute(sa.select(d.c.id).where(*mine).limit(1)).first() is not None:
        return
    raise SettingsError(
        f"`probes` of stream '{config.name}' ({config.probes}) is ProbeSet {probe_set.id}, which "
        f"is not deployed; {found.probe_set} is live{_way_to_use(connection, found, config)}"
    )


def _way_to_use(connection: sa.Connection, found: StreamRow, config: StreamConfig) -> str:
    """Say how LFs that are not deployed come to count; only what will not be refused."""
    deploy = f"`tidegauge probes deploy {config.file}`"
    if not _overwritten(connection, found, config):
        shadow = f"`tidegauge probes shadow {config.file}`"
        return (
            f". To use it from the next new window on: {deploy} (or {shadow} to run it alongside "
            "the live one first)"
        )
    if not _is_open(connection, found):
        return f". To use it from the next new window on: {deploy}"
    return (
        f" and was deployed from the same {config.probes}, which has changed since, before its "
        "last window was closed. Restore the old LFs there, and move the new ones to a module of "
        f"their own. Name that one in {config.file}, and deploy it: {deploy}. If you no longer "
        "have the old LFs, give the stream a new `name`"
    )


def _overwritten(connection: sa.Connection, found: StreamRow, config: StreamConfig) -> bool:
    """Whether the live LFs were in the module that the stream file names, and are gone.

    Templates are kept in the database.
    """
    d = schema.deployment
    live = (d.c.stream_id == found.id, d.c.role == Role.LIVE, d.c.until_ms.is_(None))
    reference = connection.execute(sa.select(d.c.reference).where(*live)).scalar_one()
    kept = contents_of(connection, found.probe_set)
    return bool(reference == config.probes and not (kept and load_contents(kept, found.probe_set)))


def _is_open(connection: sa.Connection, found: StreamRow) -> bool:
    """Whether a window that has records is not closed."""
    closed = cursor(connection, found.id, CLOSED) or 0
    latest = (p.latest_event_ms for p in partitions(connection, found.id))
    return any(ms is not None and ms >= closed for ms in latest)


def _refuse_changes(found: StreamRow, config: StreamConfig) -> None:
    changed = {
        "window": (found.window_ms, config.window),
        "lateness": (found.lateness_ms, config.lateness),
    }
    for what, (before, now) in changed.items():
        if before != now:
            msg = (
                f"stream '{config.name}' was created with a different `{what}` "
                f"({before}, now {now}), so its counts cannot be compared. Restore the "
                f"old `{what}`, or give the changed stream a new `name`"
            )
            raise SettingsError(msg)


def find(connection: sa.Connection, name: str) -> StreamRow | None:
    """Return the stream of that name."""
    return next((s for s in select_streams(connection) if s.name == name), None)


def select_streams(connection: sa.Connection) -> list[StreamRow]:
    """Return all streams, by name."""
    t, d = schema.stream, schema.deployment
    columns = (t.c.id, t.c.name, t.c.window_ms, t.c.lateness_ms, d.c.probe_set, d.c.baseline)
    newest = (d.c.stream_id == t.c.id) & (d.c.role == Role.LIVE) & d.c.until_ms.is_(None)
    query = sa.select(*columns, t.c.epoch, t.c.timezone).join(d, newest).order_by(t.c.name)
    return [StreamRow(*row) for row in connection.execute(query)]


def epoch(connection: sa.Connection, stream_id: int) -> int:
    """Return how often the deployments of a stream have changed."""
    t = schema.stream
    return int(connection.execute(sa.select(t.c.epoch).where(t.c.id == stream_id)).scalar_one())


def layout_of(connection: sa.Connection, probe_set: str) -> Layout:
    """Return the names that a ProbeSet's counts are over."""
    t = schema.probe_set
    text = connection.execute(sa.select(t.c.layout).where(t.c.id == probe_set)).scalar_one()
    kept = json.loads(text)
    labels = tuple(map(tuple, kept["labels"]))
    return Layout(tuple(kept["probes"]), tuple(kept["classes"]), labels)


def seed_partitions(
    connection: sa.Connection,
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
    t = schema.stream
    # Against a change of deployments, which must see all partitions (``deployments.begin``).
    lock = sa.select(t.c.id).where(t.c.id == stream_id).with_for_update(key_share=True)
    connection.execute(lock)
    upsert.keep(connection, schema.stream_partition, rows)


def partitions(connection: sa.Connection, stream_id: int) -> list[PartitionRow]:
    """Return the stream's partitions, in order.

    The end of a log's partition is what is in the database now; that of others is as its owner
    saw it last (``end_ms``).
    """
    t, e = schema.stream_partition, schema.event_partition
    same = sa.and_(e.c.stream_id == t.c.stream_id, e.c.partition == t.c.partition)
    columns = (
        t.c.partition,
        t.c.next_offset,
        sa.func.coalesce(e.c.next_offset, t.c.end_offset),
        t.c.watermark_ms,
        t.c.latest_event_ms,
        t.c.drained,
        t.c.records,
        t.c.late,
        t.c.owner,
        t.c.topic_id,
        t.c.moved_ms,
        t.c.tombstones,
        t.c.updated_ms,
        t.c.heard_ms,
        t.c.end_ms,
    )
    query = sa.select(*columns).select_from(t.outerjoin(e, same))
    query = query.where(t.c.stream_id == stream_id).order_by(t.c.partition)
    return [PartitionRow(*row) for row in connection.execute(query)]


def note_ends(
    connection: sa.Connection, stream_id: int, ends: Mapping[int, int], now_ms: int
) -> None:
    """Keep how far the partitions reach in the source, before anything of that is counted."""
    t = schema.stream_partition
    for partition, end in sorted(ends.items()):
        mine = (t.c.stream_id == stream_id, t.c.partition == partition)
        connection.execute(sa.update(t).where(*mine).values(end_offset=end, end_ms=now_ms))


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
