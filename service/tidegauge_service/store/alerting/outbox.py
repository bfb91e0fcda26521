"""The outbox: messages are written with the transition they tell of, and sent afterwards.

A sender takes a lease by compare-and-set, sends, and marks the row *after* the receiver said
yes: delivery is at least once, and receivers get a key to drop repeats by.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from tidegauge_alerts.messages.model import Message
from tidegauge_service.store import schema, upsert

WAITING, SENT, FAILED = "waiting", "sent", "failed"

FARTHEST_MS: Final = 2 * 3_600_000
"""The furthest in the future that a message can be due (a receiver's ``Retry-After`` is capped at
an hour). A later due time was written while the clock was ahead, so the message is sent now."""


SHOWN_MS: Final = 3_600_000
"""An informational notice, which needs no action, resolves by itself after this long."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message under lease."""

    id: int
    receiver: str
    dedup_key: str
    message: Mapping[str, Any]
    attempts: int
    created_ms: int
    lease_ms: int


def enqueue(
    connection: sa.Connection,
    stream_id: int,
    receivers: Sequence[str],
    message: Message,
    *,
    now_ms: int,
    after_ms: int = 0,
) -> None:
    """Write a message to each receiver, sent after *after_ms*; once for one ``dedup_key``."""
    rows = [
        {
            "stream_id": stream_id,
            "receiver": receiver,
            "dedup_key": message.dedup_key,
            "incident": message.body.get("group_key"),
            "message": json.dumps(message.body),
            "state": WAITING,
            "attempts": 0,
            "due_ms": now_ms + after_ms,
            "lease_ms": 0,
            "created_ms": now_ms,
        }
        for receiver in receivers
    ]
    upsert.keep(connection, schema.notification, rows)


def receivers_of(connection: sa.Connection, stream_id: int, dedup_key: str) -> list[str]:
    """Return whom a message was written to."""
    t = schema.notification
    mine = (t.c.stream_id == stream_id, t.c.dedup_key == dedup_key)
    return list(connection.execute(sa.select(t.c.receiver).where(*mine)).scalars())


def scheduled(connection: sa.Connection, stream_id: int, now_ms: int) -> int:
    """Return how many messages wait only because they are not due yet: nothing is wrong there."""
    t = schema.notification
    mine = (
        t.c.stream_id == stream_id,
        t.c.state == WAITING,
        t.c.attempts == 0,
        t.c.due_ms > now_ms,
    )
    return int(connection.execute(sa.select(sa.func.count()).where(*mine)).scalar_one())


@dataclass(frozen=True, slots=True)
class Undelivered:
    """Messages to one receiver since the last that was delivered: given up, and tried in vain."""

    failed: int
    waiting: int
    error: str
    """Of the newest."""


def undelivered(connection: sa.Connection, receiver: str) -> Undelivered | None:
    """Return what a receiver did not take since it last took one; None if there is nothing."""
    t = schema.notification
    last = sa.select(sa.func.max(t.c.id)).where(t.c.receiver == receiver, t.c.state == SENT)
    since = sa.func.coalesce(last.scalar_subquery(), 0)
    tried = (t.c.receiver == receiver, t.c.id > since, t.c.error.is_not(None))
    counted = sa.select(t.c.state, sa.func.count()).where(*tried).group_by(t.c.state)
    counts = {state: int(n) for state, n in connection.execute(counted)}
    if not counts:
        return None
    newest = sa.select(t.c.error).where(*tried).order_by(t.c.id.desc()).limit(1)
    error = str(connection.execute(newest).scalar_one())
    return Undelivered(counts.get(FAILED, 0), counts.get(WAITING, 0), error)


@dataclass(frozen=True, slots=True)
class Whose:
    """The receivers of whose messages one sender takes care: all, unless it says otherwise."""

    only: Sequence[str] | None = None
    other_than: Sequence[str] = ()


EVERYBODY: Final = Whose()


def is_due(connection: sa.Connection, now_ms: int, lease_ms: int, whose: Whose = EVERYBODY) -> bool:
    """Return whether any message may be taken, muted ones among them. Takes no lock."""
    query = sa.select(_due(now_ms, lease_ms, whose).exists())
    return bool(connection.execute(query).scalar_one())


def _due(now_ms: int, lease_ms: int, whose: Whose) -> sa.Select[Any]:
    t = schema.notification
    query = sa.select(t).where(
        t.c.state == WAITING,
        ~t.c.due_ms.between(now_ms + 1, now_ms + FARTHEST_MS),
        ~t.c.lease_ms.between(now_ms + 1, now_ms + 2 * lease_ms),
        t.c.receiver.not_in(whose.other_than),
        ~_overtakes(now_ms).exists(),
    )
    return query if whose.only is None else query.where(t.c.receiver.in_(whose.only))


def _overtakes(now_ms: int) -> sa.Select[Any]:
    """Select the messages that must reach a receiver before one of ``notification``.

    A firing that is being retried comes before the resolve of its incident: PagerDuty and
    Alertmanager would open again what is over, and nothing would close it. A message that is
    only scheduled for later holds up nothing.
    """
    t, earlier = schema.notification, schema.notification.alias("earlier")
    return (
        sa.select(earlier.c.id)
        .where(
            earlier.c.receiver == t.c.receiver,
            earlier.c.incident == t.c.incident,
            earlier.c.state == WAITING,
            earlier.c.id < t.c.id,
            sa.or_(
                earlier.c.attempts > 0, ~earlier.c.due_ms.between(now_ms + 1, now_ms + FARTHEST_MS)
            ),
        )
        .correlate(t)
    )


def lease(
    connection: sa.Connection,
    now_ms: int,
    lease_ms: int,
    muted: Collection[int] = (),
    whose: Whose = EVERYBODY,
) -> Outgoing | None:
    """Take the message that is due longest, for *lease_ms*; None if there is none.

    Those of *muted* streams wait.

    Clocks jump: a time further ahead than any that is ever set is not waited for.
    """
    t = schema.notification
    due = _due(now_ms, lease_ms, whose).where(t.c.stream_id.not_in(muted))
    query = due.order_by(t.c.due_ms, t.c.id).limit(1)
    row = connection.execute(query.with_for_update(skip_locked=True)).one_or_none()
    if row is None:
        return None
    until = now_ms + lease_ms
    connection.execute(sa.update(t).where(t.c.id == row.id).values(lease_ms=until))
    message = json.loads(row.message)
    return Outgoing(
        row.id, row.receiver, row.dedup_key, message, row.attempts, row.created_ms, until
    )


def settle(
    connection: sa.Connection,
    outgoing: Outgoing,
    *,
    state: str,
    now_ms: int,
    due_ms: int = 0,
    error: str | None = None,
) -> None:
    """Write what became of a leased message; a lease that was lost meanwhile changes nothing."""
    t = schema.notification
    held = sa.and_(t.c.id == outgoing.id, t.c.lease_ms == outgoing.lease_ms, t.c.state == WAITING)
    connection.execute(
        sa.update(t)
        .where(held)
        .values(
            state=state,
            attempts=outgoing.attempts + 1,
            due_ms=due_ms,
            lease_ms=0,
            error=error,
            sent_ms=now_ms if state == SENT else None,
        )
    )
