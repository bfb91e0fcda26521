"""Deployments of a stream: which ProbeSet counts which windows.

A change takes effect from a window start F that no record has reached yet, and adds one to the
stream's epoch. Who counts says with which epoch it did so; the commit refuses another one's
(``commit.Superseded``). So each window is counted by one deployment whole, whoever reads.

Worked example: windows of 10, closed through 20, latest events 34 and 57. F is 60. What comes
for 30 … 50 later is still counted by the old deployment, what comes for 60 and after by the new.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from tidegauge_service.clock import window_start
from tidegauge_service.store import schema, streams
from tidegauge_service.store.streams import CLOSED, Role, StreamRow


class Change(StrEnum):
    """How a deployment came to be."""

    FIRST = "first"  # with the stream
    DEPLOY = "deploy"
    SHADOW = "shadow"
    PROMOTE = "promote"  # was the shadow
    ROLLBACK = "rollback"  # was live before
    ACCEPT = "accept"  # is live, and gets a new baseline


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes something, and when."""

    name: str
    now_ms: int


@dataclass(frozen=True, slots=True)
class Deployment:
    """One ProbeSet, in one role, for the windows that start in [from, until)."""

    id: int
    probe_set: str
    reference: str
    role: str
    from_ms: int
    until_ms: int | None
    """None until the next deployment."""
    baseline: str | None
    range_from_ms: int | None
    """The windows to fit its baseline from, if the baseline does not exist yet."""
    range_until_ms: int | None
    made_as: str
    """The kind of change that created it (``Change``)."""
    created_ms: int
    created_by: str
    ended_ms: int | None
    ended_by: str | None

    @property
    def compared(self) -> Reference:
        """What it is compared with."""
        since, until = self.range_from_ms, self.range_until_ms
        known = None if since is None or until is None else (since, until)
        return Reference(self.baseline, known)

    @property
    def was_used(self) -> bool:
        """Whether there is any window that it counts: two changes may begin with the same one."""
        return self.until_ms is None or self.until_ms > self.from_ms

    def counts(self, start: int) -> bool:
        """Whether it counts the window that starts then."""
        return self.from_ms <= start and (self.until_ms is None or start < self.until_ms)


@dataclass(frozen=True, slots=True)
class Reference:
    """What a deployment is compared with: a baseline, or the windows to fit one from."""

    baseline: str | None = None
    range: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class New:
    """A ProbeSet to deploy: its id, where it is loaded from, what it is compared with."""

    probe_set: str
    reference: str
    compared: Reference = Reference()


def first_window(latest_ms: Iterable[int | None], closed_ms: int | None, window_ms: int) -> int:
    """Return F: the first window start after every record counted, and not closed.

    >>> first_window([34, 57, None], 20, 10), first_window([57], 80, 10), first_window([], None, 10)
    (60, 80, 0)
    """
    reached = [window_start(ms, window_ms) + window_ms for ms in latest_ms if ms is not None]
    return max([*reached, closed_ms or 0])


def of_stream(connection: sa.Connection, stream_id: int) -> list[Deployment]:
    """Return all deployments of a stream, in the order in which they were made."""
    t = schema.deployment
    columns = [c for c in t.c if c.name != "stream_id"]
    query = sa.select(*columns).where(t.c.stream_id == stream_id).order_by(t.c.id)
    return [Deployment(*row) for row in connection.execute(query)]


def current(known: Sequence[Deployment], role: Role) -> Deployment | None:
    """Return what was deployed last in a role, and not ended."""
    return next((d for d in known if d.role == role and d.until_ms is None), None)


def live_at(known: Sequence[Deployment], start: int) -> Deployment:
    """Return the deployment that evaluates a window: there is exactly one."""
    return next(d for d in known if d.role == Role.LIVE and d.counts(start))


def seen_from(stream: StreamRow, deployment: Deployment) -> StreamRow:
    """Return the stream as it is in the windows of a deployment: its ProbeSet, its baseline."""
    return replace(stream, probe_set=deployment.probe_set, baseline=deployment.baseline)


def begin(connection: sa.Connection, stream: StreamRow) -> int:
    """Begin a change: raise the epoch and return F.

    The order of locks is: stream, then partitions in their order. Who makes partitions locks the
    stream, too (``streams.seed_partitions``), so that none is overlooked; who commits holds a
    partition, so that its records were counted before F was chosen, or it sees the new epoch.
    """
    s, p = schema.stream, schema.stream_partition
    connection.execute(sa.update(s).where(s.c.id == stream.id).values(epoch=s.c.epoch + 1))
    query = sa.select(p.c.latest_event_ms).where(p.c.stream_id == stream.id)
    latest = connection.execute(query.order_by(p.c.partition).with_for_update()).scalars().all()
    closed = streams.cursor(connection, stream.id, CLOSED)
    return first_window(latest, closed, stream.window_ms)


def next_window(connection: sa.Connection, stream: StreamRow) -> int:
    """Return F as it is now; it holds under the locks of ``begin`` alone."""
    latest = (p.latest_event_ms for p in streams.partitions(connection, stream.id))
    closed = streams.cursor(connection, stream.id, CLOSED)
    return first_window(latest, closed, stream.window_ms)


def end(connection: sa.Connection, deployment: Deployment, at_ms: int, by: Author) -> None:
    """End a deployment; its last window is the one before."""
    t = schema.deployment
    ended = {"until_ms": at_ms, "ended_ms": by.now_ms, "ended_by": by.name}
    connection.execute(sa.update(t).where(t.c.id == deployment.id).values(**ended))


def add(
    connection: sa.Connection,
    stream: StreamRow,
    new: New,
    change: Change,
    *,
    from_ms: int,
    by: Author,
) -> Deployment:
    """Deploy a ProbeSet that is known (``probe_sets.keep_probe_set``) from a window on."""
    since, until = new.compared.range or (None, None)
    row: dict[str, Any] = {
        "probe_set": new.probe_set,
        "reference": new.reference,
        "role": str(Role.SHADOW if change is Change.SHADOW else Role.LIVE),
        "from_ms": from_ms,
        "until_ms": None,
        "baseline": new.compared.baseline,
        "range_from_ms": since,
        "range_until_ms": until,
        "made_as": str(change),
        "created_ms": by.now_ms,
        "created_by": by.name,
        "ended_ms": None,
        "ended_by": None,
    }
    t = schema.deployment
    insert = sa.insert(t).values(stream_id=stream.id, **row).returning(t.c.id)
    return Deployment(id=connection.execute(insert).scalar_one(), **row)


def recompare(connection: sa.Connection, deployment: Deployment, baseline: str) -> None:
    """Compare a deployment with another baseline from the next window on."""
    t = schema.deployment
    connection.execute(sa.update(t).where(t.c.id == deployment.id).values(baseline=baseline))


def attach(
    connection: sa.Connection, stream: StreamRow, deployment: Deployment, baseline: str
) -> None:
    """Make it the baseline of a deployment; of all its deployments that wait for the same one."""
    t = schema.deployment
    waits = (t.c.stream_id == stream.id, t.c.baseline.is_(None))
    same = sa.and_(
        t.c.role == Role.LIVE,
        t.c.probe_set == deployment.probe_set,
        t.c.range_from_ms == deployment.range_from_ms,
        t.c.range_until_ms == deployment.range_until_ms,
    )
    connection.execute(
        sa.update(t).where(*waits, sa.or_(t.c.id == deployment.id, same)).values(baseline=baseline)
    )
