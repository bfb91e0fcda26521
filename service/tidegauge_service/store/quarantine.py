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
    t = schema.quarantine
    columns = (t.c.place, t.c.probe, t.c.reason, t.c.since_ms, t.c.strikes)
    rows = connection.execute(sa.select(*columns).where(*_active(stream)).order_by(t.c.place))
    return [Quarantined(*row) for row in rows]


def places(connection: sa.Connection, stream: StreamRow) -> dict[str, frozenset[int]]:
    """Return what is not called of each ProbeSet of the stream: live, shadow or of before."""
    t = schema.quarantine
    mine = (t.c.stream_id == stream.id, t.c.released_ms.is_(None))
    found: dict[str, frozenset[int]] = {}
    for probe_set, place in connection.execute(sa.select(t.c.probe_set, t.c.place).where(*mine)):
        found[probe_set] = found.get(probe_set, frozenset()) | {place}
    return found


def release(
    connection: sa.Connection, stream: StreamRow, probe: str, *, now_ms: int
) -> Sequence[Quarantined]:
    """Let LFs of that name be called again; return what was released."""
    found = [q for q in active(connection, stream) if q.probe == probe]
    t = schema.quarantine
    places = t.c.place.in_([q.place for q in found])
    connection.execute(sa.update(t).where(*_active(stream), places).values(released_ms=now_ms))
    return found


def _active(stream: StreamRow) -> tuple[sa.ColumnElement[bool], ...]:
    t = schema.quarantine
    mine = (t.c.stream_id == stream.id, t.c.probe_set == stream.probe_set)
    return (*mine, t.c.released_ms.is_(None))
