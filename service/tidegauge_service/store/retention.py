"""What may be removed, oldest first, a batch at a time.

Nothing goes that is not evaluated, not counted or not delivered yet, nor a pane that the range of
a baseline still needs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from tidegauge_service.config.settings import Retention, RetentionLimit
from tidegauge_service.store import deployments, schema, streams, upsert
from tidegauge_service.store.alerting import outbox
from tidegauge_service.store.states import CandidateState
from tidegauge_service.store.streams import EVALUATED, Role, StreamRow

BATCH = 500
"""Maximum rows that a transaction deletes."""

Condition = sa.ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """How one table is pruned.

    ``setting``: its name under `retention`. ``age``: the column that says how old a row is, as
    event time (then it is compared with what was evaluated) or by the clock. ``capped``: whether
    limits of rows and bytes apply. ``first``: rows of another table that refer to it.
    """

    setting: str
    table: sa.Table
    age: str
    size: str | None = None
    event_time: bool = False
    capped: bool = True
    may_go: Callable[[], list[Condition]] = list
    first: sa.Column[str] | None = None


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed of a stream's rows in a table, or would be."""

    stream: str
    table: str
    rows: int
    bytes: int


_REASONS = schema.candidate_reason.c.candidate_id


def _counted() -> list[Condition]:
    e, p = schema.event, schema.stream_partition
    position = sa.select(p.c.next_offset).where(
        p.c.stream_id == e.c.stream_id, p.c.partition == e.c.partition
    )
    return [e.c.offset < position.scalar_subquery()]


def _delivered() -> list[Condition]:
    return [schema.notification.c.state != outbox.WAITING]


def _fetched() -> list[Condition]:
    return [schema.candidate.c.state != CandidateState.PROPOSED]


RULES: tuple[RetentionRule, ...] = (
    RetentionRule("panes", schema.pane, "window_start_ms", "counts", event_time=True),
    RetentionRule("panes", schema.distinct_texts, "window_start_ms", "counts", event_time=True),
    RetentionRule("samples", schema.sample, "window_start_ms", "payload", event_time=True),
    RetentionRule("windows", schema.window_stat, "window_start_ms", event_time=True),
    RetentionRule("windows", schema.precision, "window_start_ms", event_time=True),
    RetentionRule("windows", schema.window, "window_start_ms", event_time=True),
    RetentionRule("windows", schema.late_count, "window_start_ms", event_time=True),
    RetentionRule("dead_letters", schema.dead_letter, "received_ms", "payload"),
    RetentionRule("events", schema.event, "received_ms", "payload", may_go=_counted),
    RetentionRule("idempotency_keys", schema.event_key, "created_ms"),
    RetentionRule("notifications", schema.notification, "created_ms", "message", may_go=_delivered),
    # Candidates that nobody has fetched go by their age only.
    RetentionRule(
        "candidates", schema.candidate, "created_ms", "payload", capped=False, first=_REASONS
    ),
    RetentionRule(
        "candidates", schema.candidate, "created_ms", "payload", may_go=_fetched, first=_REASONS
    ),
)


@dataclass
class Excess:
    """Which of the rows, oldest first, must go: those too old, and those too many."""

    before_ms: int
    rows: int
    bytes: int
    gone: int = field(default=0)
    gone_bytes: int = field(default=0)

    def taken_of(self, rows: Iterable[Any]) -> Iterator[Any]:
        """Yield rows up to the first that may stay; all after it are younger."""
        for row in rows:
            if row.age >= self.before_ms and self.rows <= 0 and self.bytes <= 0:
                return
            self.rows -= 1
            self.bytes -= row.size
            self.gone += 1
            self.gone_bytes += row.size
            yield row


def count(
    connection: sa.Connection, stream: StreamRow, rule: RetentionRule, excess: Excess
) -> None:
    """Count in *excess* what would be removed, without removing it."""
    streamed = connection.execution_options(yield_per=BATCH)
    with streamed.execute(_oldest(connection, stream, rule)) as rows:
        deque(excess.taken_of(rows), maxlen=0)


def remove(
    connection: sa.Connection, stream: StreamRow, rule: RetentionRule, excess: Excess
) -> bool:
    """Remove the oldest rows, up to ``BATCH``; whether there may be more to remove."""
    query = _oldest(connection, stream, rule).limit(BATCH)
    # Another process that prunes takes other rows.
    found = connection.execute(query.with_for_update(skip_locked=True, of=rule.table)).all()
    doomed = list(excess.taken_of(found))
    _remove(connection, stream, rule, doomed)
    return len(doomed) == BATCH


def excess_of(
    connection: sa.Connection,
    stream: StreamRow,
    rule: RetentionRule,
    retention: Retention,
    now_ms: int,
) -> Excess | None:
    """Return what is too much; None if nothing was evaluated yet, so that nothing may go."""
    kept: RetentionLimit = getattr(retention, rule.setting)
    age_from: int | None = now_ms
    if rule.event_time:
        age_from = streams.cursor(connection, stream.id, EVALUATED)
    if age_from is None:
        return None
    before_ms = age_from - kept.keep
    if not rule.capped:
        return Excess(before_ms, 0, 0)
    t = rule.table
    size = sa.func.sum(_size(connection, rule))
    query = sa.select(sa.func.count(), sa.func.coalesce(size, 0))
    rows, size_now = connection.execute(query.where(t.c.stream_id == stream.id)).one()
    most_bytes = kept.bytes if kept.bytes is not None else int(size_now)
    return Excess(before_ms, int(rows) - kept.rows, int(size_now) - most_bytes)


def _size(connection: sa.Connection, rule: RetentionRule) -> sa.ColumnElement[int]:
    """Return the bytes of a row's content, which neither database has to read for it."""
    if rule.size is None:
        return sa.literal(0)
    column = rule.table.c[rule.size]
    sqlite = connection.dialect.name == "sqlite"
    return sa.func.length(column) if sqlite else sa.func.octet_length(column)


def _oldest(connection: sa.Connection, stream: StreamRow, rule: RetentionRule) -> sa.Select[Any]:
    """Select what may go at all, oldest first."""
    t, age = rule.table, rule.table.c[rule.age]
    keys = list(t.primary_key.columns)
    query = sa.select(*keys, age.label("age"), _size(connection, rule).label("size")).where(
        t.c.stream_id == stream.id, *rule.may_go()
    )
    if rule.event_time:
        evaluated = streams.cursor(connection, stream.id, EVALUATED)
        query = query.where(age < (evaluated or 0))
    if rule.setting == "panes":
        query = query.where(*_not_needed(connection, stream, age))
    return query.order_by(age, *keys)


def _not_needed(
    connection: sa.Connection, stream: StreamRow, start: sa.ColumnElement[Any]
) -> list[Condition]:
    """Keep the panes of a deployment from which its baseline is still to be fitted."""
    return [
        sa.or_(start < d.range_from_ms, start >= d.range_until_ms)
        for d in deployments.of_stream(connection, stream.id)
        if d.role == Role.LIVE
        and d.baseline is None
        and d.range_from_ms is not None
        and d.range_until_ms is not None
        and (d.until_ms is None or d.until_ms > d.range_until_ms)
    ]


def _remove(
    connection: sa.Connection, stream: StreamRow, rule: RetentionRule, doomed: list[Any]
) -> None:
    if not doomed:
        return
    t = rule.table
    keys = list(t.primary_key.columns)
    if rule.first is not None:
        ids = [row.id for row in doomed]
        connection.execute(sa.delete(rule.first.table).where(rule.first.in_(ids)))
    places = [tuple(getattr(row, key.name) for key in keys) for row in doomed]
    connection.execute(sa.delete(t).where(sa.tuple_(*keys).in_(places)))
    tally = {"stream_id": stream.id, "name": t.name, "n": len(doomed)}
    upsert.add(connection, schema.removed_rows, [tally], "n")
