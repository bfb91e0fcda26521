"""Whether a stream compares its windows, or is still before or within its baseline's range."""

from __future__ import annotations

import sqlalchemy as sa

from tidegauge_service.clock import to_iso
from tidegauge_service.store import deployments, schema
from tidegauge_service.store.states import WindowState
from tidegauge_service.store.streams import Role, StreamRow

_COMPARED = (WindowState.LEARNING, WindowState.COMPARED)


def compared(connection: sa.Connection, stream: StreamRow) -> int:
    """Return how many of the windows that are kept were compared with a baseline."""
    t = schema.window
    query = sa.select(sa.func.count()).where(t.c.stream_id == stream.id, t.c.state.in_(_COMPARED))
    return int(connection.execute(query).scalar_one())


def why_not(connection: sa.Connection, stream: StreamRow) -> str:
    """Say why the newest window was not compared with a baseline; empty if it was.

    Without a window there is nothing to say, either.
    """
    t = schema.window
    newest = sa.select(t.c.window_start_ms, t.c.state).where(t.c.stream_id == stream.id)
    row = connection.execute(newest.order_by(t.c.window_start_ms.desc()).limit(1)).one_or_none()
    live = deployments.current(deployments.of_stream(connection, stream.id), Role.LIVE)
    if row is None or row.state in _COMPARED or live is None:
        return ""
    since, until = live.range_from_ms, live.range_until_ms
    if since is None or until is None:
        return ""
    ends = f"event time has come only to {to_iso(row.window_start_ms + stream.window_ms)}"
    spans = f"the baseline's range is {to_iso(since)} to {to_iso(until)}"
    before = row.state == WindowState.BEFORE
    where = "before the range begins" if before else "and windows are compared only after it"
    return f"{spans}, {ends}, {where}" if before else f"{spans} {where}; {ends}"
