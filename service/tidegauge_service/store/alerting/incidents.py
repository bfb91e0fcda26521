"""Incidents: the alerts that one cause has opened, read together."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
import sqlalchemy as sa

from tidegauge_alerts.incidents.incident import Incident, incidents_of
from tidegauge_alerts.model import Alert, AlertState, Transition
from tidegauge_service.store import schema

Place = tuple[int, str]


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


def get(connection: sa.Connection, name: str) -> tuple[Incident, list[Transition]] | None:
    """Return an incident and the changes of all its alerts, oldest first."""
    found = _of_names(connection, [name])
    return (found[0], history_of(connection, found[0].alerts)) if found else None


def history_of(connection: sa.Connection, alerts: Collection[Alert]) -> list[Transition]:
    """Return the changes of some alerts, oldest first."""
    h = schema.alert_transition
    wanted = h.c.alert_id.in_([alert.id for alert in alerts])
    rows = connection.execute(sa.select(h.c.content).where(wanted).order_by(h.c.id))
    return [msgspec.json.decode(row, type=Transition) for row in rows.scalars()]


def _of_names(connection: sa.Connection, names: list[str]) -> list[Incident]:
    t = schema.alert
    rows = connection.execute(sa.select(t.c.content).where(t.c.incident.in_(names)))
    return incidents_of(msgspec.json.decode(row, type=Alert) for row in rows.scalars())
