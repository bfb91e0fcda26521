"""A stream's entry in the database: made at its first start, and checked at every later one."""

from __future__ import annotations

from dataclasses import replace

import sqlalchemy as sa

from tidegauge_probes.labeling.loading import load_contents
from tidegauge_probes.labeling.probe_set import ProbeSet
from tidegauge_service.config.stream_file import BaselineRange, StreamConfig
from tidegauge_service.errors import SettingsError, StoreError
from tidegauge_service.store import probe_sets, schema, streams, upsert
from tidegauge_service.store.streams import CLOSED, CUT, EVALUATED, Role, StreamRow


def register(
    connection: sa.Connection, config: StreamConfig, probe_set: ProbeSet, now_ms: int
) -> StreamRow:
    """Create the stream, or find it as it was created.

    SettingsError if its windows are not those it was created with: its counts could not be
    compared any more. So, too, if its LFs were never deployed: that is for people to decide.
    """
    found = streams.find(connection, config.name)
    if found is None:
        # Another process may be creating it: the insert waits for that process to commit, and
        # what it has written is found next.
        _insert(connection, config, probe_set, now_ms)
        found = streams.find(connection, config.name)
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


def _insert(
    connection: sa.Connection, config: StreamConfig, probe_set: ProbeSet, now_ms: int
) -> None:
    probe_sets.keep_probe_set(connection, probe_set, now_ms)
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
    kept = probe_sets.contents_of(connection, found.probe_set)
    return bool(reference == config.probes and not (kept and load_contents(kept, found.probe_set)))


def _is_open(connection: sa.Connection, found: StreamRow) -> bool:
    """Whether a window that has records is not closed."""
    closed = streams.cursor(connection, found.id, CLOSED) or 0
    latest = (p.latest_event_ms for p in streams.partitions(connection, found.id))
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
