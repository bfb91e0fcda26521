"""Alerts: their present state, and every transition that led there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Final

import msgspec
import sqlalchemy as sa

from tidegauge_alerts.model import Alert, AlertState, Transition
from tidegauge_probes.findings import SeriesKey
from tidegauge_service.store import schema, upsert

_COLUMNS: Final = [f.name for f in fields(Alert) if f.name in schema.alert.c]
"""Fields that queries filter on; each has its own column. The whole alert is in ``content``."""


def open_alerts(connection: sa.Connection, stream_id: int) -> list[Alert]:
    """Return the alerts of a stream that are not resolved."""
    t = schema.alert
    query = sa.select(t.c.content).where(
        t.c.stream_id == stream_id, t.c.state != str(AlertState.RESOLVED)
    )
    return [_decode(content) for content in connection.execute(query).scalars()]


def known(connection: sa.Connection, stream_id: int, since_ms: int) -> list[Alert]:
    """Return the open alerts of a stream, and those that resolved in a window from then on."""
    t = schema.alert
    is_open = t.c.state != str(AlertState.RESOLVED)
    query = sa.select(t.c.content).where(
        t.c.stream_id == stream_id, is_open | (t.c.resolved_window_ms >= since_ms)
    )
    return [_decode(content) for content in connection.execute(query).scalars()]


def firing(connection: sa.Connection, stream_id: int) -> int:
    """Return how many alerts of a stream are firing."""
    t = schema.alert
    query = sa.select(sa.func.count()).where(
        t.c.stream_id == stream_id, t.c.state == str(AlertState.FIRING)
    )
    return int(connection.execute(query).scalar_one())


def save(
    connection: sa.Connection,
    stream_id: int,
    alerts: Sequence[Alert],
    transitions: Sequence[Transition],
) -> None:
    """Write what became of alerts; transitions are only ever added."""
    rows = [
        {
            "stream_id": stream_id,
            "content": msgspec.json.encode(alert).decode(),
            **{name: getattr(alert, name) for name in _COLUMNS},
        }
        for alert in alerts
    ]
    upsert.replace(connection, schema.alert, rows)
    history = [
        {
            "alert_id": t.alert_id,
            "window_start_ms": t.window_start_ms,
            "content": msgspec.json.encode(t).decode(),
        }
        for t in transitions
    ]
    if history:
        connection.execute(sa.insert(schema.alert_transition), history)


def resolved_since(
    connection: sa.Connection, stream_id: int, since_ms: int
) -> list[tuple[SeriesKey, int]]:
    """Return the series whose alerts (of the scan) resolved from then on, and in which window.

    Also of alerts that have re-opened since.
    """
    t, h = schema.alert, schema.alert_transition
    changed = sa.select(h.c.alert_id).where(h.c.window_start_ms >= since_ms)
    query = sa.select(t.c.content).where(t.c.stream_id == stream_id, t.c.id.in_(changed))
    found = [_decode(content) for content in connection.execute(query).scalars()]
    scanned = [a for a in found if not a.rule]
    return [(a.key, a.restarted_window_ms) for a in scanned if a.restarted_window_ms is not None]


Place = tuple[int, str]


def page(
    connection: sa.Connection,
    *,
    stream: str | None = None,
    state: str | None = None,
    since_ms: int | None = None,
    until_ms: int | None = None,
    limit: int = 100,
    after: Place | None = None,
) -> list[Alert]:
    """Return alerts, newest first, after a place."""
    t, s = schema.alert, schema.stream
    query = sa.select(t.c.content).join(s, s.c.id == t.c.stream_id)
    if stream is not None:
        query = query.where(s.c.name == stream)
    if state is not None:
        query = query.where(t.c.state == state)
    if since_ms is not None:
        query = query.where(t.c.opened_window_ms >= since_ms)
    if until_ms is not None:
        query = query.where(t.c.opened_window_ms < until_ms)
    if after is not None:
        query = query.where(sa.tuple_(t.c.opened_window_ms, t.c.id) < sa.tuple_(*after))
    query = query.order_by(t.c.opened_window_ms.desc(), t.c.id.desc()).limit(limit)
    return [_decode(content) for content in connection.execute(query).scalars()]


def get(connection: sa.Connection, alert_id: str) -> tuple[Alert, list[Transition]] | None:
    """Return an alert and its history, oldest first."""
    t, h = schema.alert, schema.alert_transition
    content = connection.execute(
        sa.select(t.c.content).where(t.c.id == alert_id)
    ).scalar_one_or_none()
    if content is None:
        return None
    rows = connection.execute(
        sa.select(h.c.content).where(h.c.alert_id == alert_id).order_by(h.c.id)
    )
    history = [msgspec.json.decode(row, type=Transition) for row in rows.scalars()]
    return _decode(content), history


def _decode(content: str) -> Alert:
    return msgspec.json.decode(content, type=Alert)
