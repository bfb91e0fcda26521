"""Incidents: the alerts that one cause has opened, read together."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec
import sqlalchemy as sa

from tidegauge_alerts.incidents.incident import Incident, incidents_of
from tidegauge_alerts.model import Alert, AlertState, Transition
from tidegauge_service.store import schema

Place = tuple[int, str]
History = Mapping[str, Sequence[Transition]]


def page(
    connection: sa.Connection,
    *,
    stream: str | None = None,
    is_open: bool | None = None,
    since_ms: int | None = None,
    until_ms: int | None = None,
    limit: int = 100,
    after: Place | None = None,
) -> list[Incident]:
    """Return incidents, newest first, after a place: (window of its first alert, id)."""
    t, s = schema.alert, schema.stream
    opened = sa.func.min(t.c.opened_window_ms).label("opened")
    open_alerts = sa.func.sum(sa.case((t.c.state != str(AlertState.RESOLVED), 1), else_=0))
    query = sa.select(t.c.incident, opened).group_by(t.c.incident)
    if stream is not None:
        query = query.join(s, s.c.id == t.c.stream_id).where(s.c.name == stream)
    if is_open is not None:
        query = query.having(open_alerts > 0 if is_open else open_alerts == 0)
    if since_ms is not None:
        query = query.having(opened >= since_ms)
    if until_ms is not None:
        query = query.having(opened < until_ms)
    if after is not None:
        start, name = after
        earlier = (opened == start) & (t.c.incident < name)
        query = query.having((opened < start) | earlier)
    query = query.order_by(opened.desc(), t.c.incident.desc()).limit(limit)
    names = list(connection.execute(query).scalars())
    by_name = {one.id: one for one in _of_names(connection, names)}
    return [by_name[name] for name in names]


def get(connection: sa.Connection, name: str) -> tuple[Incident, History] | None:
    """Return an incident, and the changes of its alerts."""
    found = _of_names(connection, [name])
    return (found[0], history_of(connection, [name])) if found else None


def history_of(connection: sa.Connection, names: Collection[str]) -> History:
    """Return alert → its changes, oldest first, of the alerts of some incidents."""
    return _history(connection, schema.alert.c.incident.in_(names))


def history_of_stream(connection: sa.Connection, stream_id: int) -> History:
    """Return the same of all alerts of a stream."""
    return _history(connection, schema.alert.c.stream_id == stream_id)


def _history(connection: sa.Connection, of_alerts: sa.ColumnElement[bool]) -> History:
    # By a subquery: there may be more alerts than a database takes parameters.
    h, t = schema.alert_transition, schema.alert
    wanted = h.c.alert_id.in_(sa.select(t.c.id).where(of_alerts))
    rows = connection.execute(sa.select(h.c.content).where(wanted).order_by(h.c.id))
    found: dict[str, list[Transition]] = {}
    for row in rows.scalars():
        transition = msgspec.json.decode(row, type=Transition)
        found.setdefault(transition.alert_id, []).append(transition)
    return found


def _of_names(connection: sa.Connection, names: list[str]) -> list[Incident]:
    t = schema.alert
    rows = connection.execute(sa.select(t.c.content).where(t.c.incident.in_(names)))
    return incidents_of(msgspec.json.decode(row, type=Alert) for row in rows.scalars())
