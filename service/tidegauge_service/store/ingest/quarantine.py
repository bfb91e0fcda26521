"""LFs that did not come back: not called any more, until they change or somebody releases them.

A row belongs to a ProbeSet: another one, with other content, starts without any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from tidegauge_service.store import schema, upsert
from tidegauge_service.store.streams import StreamRow


@dataclass(frozen=True, slots=True)
class Quarantined:
    """An LF (or slicing function) that is not called. *place*: its column (``engine.run``)."""

    place: int
    probe: str
    reason: str
    since_ms: int
    strikes: int
    probe_set: str


def strike(
    connection: sa.Connection,
    stream: StreamRow,
    place: int,
    probe: str,
    reason: str,
    *,
    now_ms: int,
) -> int | None:
    """Quarantine an LF; return how often that has happened now, None if it is in it already."""
    t = schema.quarantine
    key = {"stream_id": stream.id, "probe_set": stream.probe_set, "place": place}
    mine = sa.and_(*(t.c[name] == value for name, value in key.items()))
    query = sa.select(t.c.strikes, t.c.released_ms).where(mine).with_for_update()
    before = connection.execute(query).one_or_none()
    if before is not None and before.released_ms is None:
        return None
    strikes = 1 + (before.strikes if before else 0)
    row = {**key, "probe": probe, "reason": reason, "since_ms": now_ms, "strikes": strikes}
    upsert.replace(connection, t, [{**row, "released_ms": None}])
    return strikes


def active(connection: sa.Connection, stream: StreamRow) -> list[Quarantined]:
    """Return what is not called of the ProbeSet that the stream runs, in its order."""
    return [q for q in of_stream(connection, stream) if q.probe_set == stream.probe_set]


def of_stream(connection: sa.Connection, stream: StreamRow) -> list[Quarantined]:
    """Return what is not called of all ProbeSets of the stream: live, shadow or of before."""
    t = schema.quarantine
    columns = (t.c.place, t.c.probe, t.c.reason, t.c.since_ms, t.c.strikes, t.c.probe_set)
    query = sa.select(*columns).where(*_mine(stream)).order_by(t.c.probe_set, t.c.place)
    return [Quarantined(*row) for row in connection.execute(query)]


def places(connection: sa.Connection, stream: StreamRow) -> dict[str, frozenset[int]]:
    """Return ``of_stream`` as the places of each ProbeSet."""
    found: dict[str, frozenset[int]] = {}
    for one in of_stream(connection, stream):
        found[one.probe_set] = found.get(one.probe_set, frozenset()) | {one.place}
    return found


def release(
    connection: sa.Connection, stream: StreamRow, probe: str, *, now_ms: int
) -> Sequence[Quarantined]:
    """Let LFs of that name be called again, of whatever ProbeSet; return what was released."""
    found = [q for q in of_stream(connection, stream) if q.probe == probe]
    t = schema.quarantine
    update = sa.update(t).where(*_mine(stream), t.c.probe == probe)
    connection.execute(update.values(released_ms=now_ms))
    return found


def _mine(stream: StreamRow) -> tuple[sa.ColumnElement[bool], ...]:
    t = schema.quarantine
    return t.c.stream_id == stream.id, t.c.released_ms.is_(None)
