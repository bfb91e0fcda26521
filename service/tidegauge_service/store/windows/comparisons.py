"""Whether a stream compares its windows, or is still before or within its baseline's range."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Learning:
    """Windows that were compared while the baseline was too short to know what is normal.

    ``windows``: how many; ``since_ms``, ``until_ms``: the first and the end of the last.
    ``baseline``: what the first was compared with; ``learned``: what came after, None if it still
    learns.
    """

    windows: int
    since_ms: int
    until_ms: int
    baseline: str
    learned: str | None


def learning(connection: sa.Connection, stream: StreamRow) -> Learning | None:
    """Return what was compared while the live ProbeSet's baseline was learned; None if nothing."""
    t = schema.window
    start = t.c.window_start_ms
    mine = (t.c.stream_id == stream.id, t.c.probe_set == stream.probe_set)
    span = sa.select(sa.func.count(), sa.func.min(start), sa.func.max(start))
    learned = t.c.state == WindowState.LEARNING
    n, first, last = connection.execute(span.where(*mine, learned)).one()
    if not n:
        return None
    used = sa.select(t.c.baseline).where(*mine).order_by(start).limit(1)
    before = connection.execute(used.where(start == first)).scalar_one()
    after = used.where(start > last, t.c.state == WindowState.COMPARED)
    return Learning(
        n, first, last + stream.window_ms, before, connection.execute(after).scalar_one_or_none()
    )


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
    ends = f"the newest closed window ends at {to_iso(row.window_start_ms + stream.window_ms)}"
    spans = f"the baseline's range is {to_iso(since)} to {to_iso(until)}"
    before = row.state == WindowState.BEFORE
    where = "before the range begins" if before else "and windows are compared only after it"
    return f"{spans}, {ends}, {where}" if before else f"{spans} {where}; {ends}"
