"""The false incidents expected of a stream, next to the incidents it had."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import sqlalchemy as sa

from tidegauge_alerts.model import AlertKind
from tidegauge_service.store import schema, upsert
from tidegauge_service.store.streams import StreamRow


@dataclass(frozen=True, slots=True)
class ForecastRow:
    """Of the baseline in use. ``budget`` as written, ``allowed``: the same per window.

    ``expected``: false incidents to expect per window; None while the baseline is learning.
    ``windows``: compared with it, as far as they are kept; ``incidents``: opened in them, right
    or wrong. ``wandering``: names of its series without a level to return to. ``left_out``: what
    of its windows it did not learn from, [from, until) in epoch ms.
    """

    baseline: str
    budget: str
    allowed: float
    expected: float | None
    windows: int
    incidents: int
    wandering: tuple[str, ...] = ()
    left_out: tuple[tuple[int, int], ...] = ()

    @property
    def predicted(self) -> float | None:
        """False incidents to expect in the windows compared."""
        return None if self.expected is None else self.expected * self.windows


def save(
    connection: sa.Connection,
    stream: StreamRow,
    baseline: str,
    *,
    budget: str,
    allowed: float,
    expected: float | None,
    wandering: Sequence[str] = (),
    left_out: Sequence[tuple[int, int]] = (),
) -> None:
    """Write what to expect of windows that are compared with a baseline, and what it knows."""
    row = {
        "stream_id": stream.id,
        "baseline": baseline,
        "budget": budget,
        "allowed": allowed,
        "expected": expected,
        "wandering": msgspec.json.encode(wandering).decode(),
        "left_out": msgspec.json.encode(left_out).decode(),
    }
    upsert.replace(connection, schema.forecast, [row])


def of_stream(connection: sa.Connection, stream: StreamRow) -> ForecastRow | None:
    """Return the forecast of the baseline in use; None if no window was compared with it."""
    t = schema.forecast
    query = sa.select(
        t.c.baseline, t.c.budget, t.c.allowed, t.c.expected, t.c.wandering, t.c.left_out
    )
    query = query.where(t.c.stream_id == stream.id, t.c.baseline == stream.baseline)
    row = connection.execute(query).first()
    if row is None:
        return None
    first, windows = _compared(connection, stream, row.baseline)
    opened = 0 if first is None else _incidents(connection, stream, first)
    return ForecastRow(
        row.baseline,
        row.budget,
        row.allowed,
        row.expected,
        windows,
        opened,
        msgspec.json.decode(row.wandering, type=tuple[str, ...]),
        msgspec.json.decode(row.left_out, type=tuple[tuple[int, int], ...]),
    )


def _compared(
    connection: sa.Connection, stream: StreamRow, baseline: str
) -> tuple[int | None, int]:
    """Return the first window that was compared with a baseline, and how many were."""
    t = schema.window
    query = sa.select(sa.func.min(t.c.window_start_ms), sa.func.count()).where(
        t.c.stream_id == stream.id,
        t.c.baseline == baseline,
        t.c.state.in_(("learning", "compared")),
    )
    first, windows = connection.execute(query).one()
    return first, windows


def _incidents(connection: sa.Connection, stream: StreamRow, since: int) -> int:
    """Return how many incidents the scan has opened since a window."""
    t = schema.alert
    query = sa.select(sa.func.count(t.c.incident.distinct())).where(
        t.c.stream_id == stream.id,
        t.c.opened_window_ms >= since,
        t.c.kind != str(AlertKind.RULE),
    )
    return int(connection.execute(query).scalar_one())
