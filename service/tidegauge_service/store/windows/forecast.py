"""The false incidents expected of a stream, next to the incidents it had."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from tidegauge_alerts.model import AlertKind
from tidegauge_service.store import schema, upsert
from tidegauge_service.store.streams import StreamRow
from tidegauge_service.store.windows import in_use


@dataclass(frozen=True, slots=True)
class ForecastRow:
    """The forecast for the baseline in use, next to what happened.

    ``budget``: as written; ``allowed``: the same per window. ``expected``: false incidents to
    expect per window; None while the baseline is learning. ``windows``: how many of those kept
    were compared with it; ``incidents``: how many opened in them, right or wrong.
    """

    baseline: str
    budget: str
    allowed: float
    expected: float | None
    windows: int
    incidents: int

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
) -> None:
    """Write the false incidents to expect in windows compared with a baseline."""
    row = {
        "stream_id": stream.id,
        "baseline": baseline,
        "budget": budget,
        "allowed": allowed,
        "expected": expected,
    }
    upsert.replace(connection, schema.forecast, [row])


def of_stream(connection: sa.Connection, stream: StreamRow) -> ForecastRow | None:
    """Return the forecast of the baseline in use; None if no window was compared with it."""
    row = in_use.row_of(connection, schema.forecast, stream)
    if row is None:
        return None
    first, windows = _compared(connection, stream, row.baseline)
    opened = 0 if first is None else _incidents(connection, stream, first)
    return ForecastRow(row.baseline, row.budget, row.allowed, row.expected, windows, opened)


def _compared(
    connection: sa.Connection, stream: StreamRow, baseline: str
) -> tuple[int | None, int]:
    """Return the first window compared with a baseline, and how many there are."""
    t = schema.window
    query = sa.select(sa.func.min(t.c.window_start_ms), sa.func.count()).where(
        t.c.stream_id == stream.id,
        t.c.baseline == baseline,
        t.c.state.in_(("learning", "compared")),
    )
    first, windows = connection.execute(query).one()
    return first, windows


def _incidents(connection: sa.Connection, stream: StreamRow, since: int) -> int:
    """Return how many incidents the scan opened since a window."""
    t = schema.alert
    query = sa.select(sa.func.count(t.c.incident.distinct())).where(
        t.c.stream_id == stream.id,
        t.c.opened_window_ms >= since,
        t.c.kind != str(AlertKind.RULE),
    )
    return int(connection.execute(query).scalar_one())
