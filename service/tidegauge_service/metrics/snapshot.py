"""What /metrics is read from: the shared state of all streams at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidegauge_alerts.model import Alert, AlertState
from tidegauge_service.store.alerting import alerts
from tidegauge_service.store.engine import Connection
from tidegauge_service.store.windows import forecast, precision, queries, skew
from tidegauge_service.store.windows.forecast import ForecastRow
from tidegauge_service.store.windows.precision import WindowPrecision
from tidegauge_service.store.windows.queries import StreamSummary
from tidegauge_service.store.windows.skew import SkewRow

MOST_FIRING: Final = 200
"""Firing alerts of a stream that are shown, the newest: each has series of its own."""


@dataclass(frozen=True, slots=True)
class StreamFigures:
    """One stream. ``precision``, ``skew``, ``forecast``: None where nothing is known."""

    summary: StreamSummary
    firing: Sequence[Alert] = ()
    precision: WindowPrecision | None = None
    """What the label model says at the end of the last window."""
    skew: SkewRow | None = None
    forecast: ForecastRow | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All streams, and when they were read."""

    streams: Sequence[StreamFigures]
    taken_at_ms: int


def take_snapshot(connection: Connection, now_ms: int) -> Snapshot:
    """Return the present figures of all streams, the same whichever process asks."""
    found = [_stream(connection, summary) for summary in queries.summaries(connection)]
    return Snapshot(tuple(found), now_ms)


def _stream(connection: Connection, summary: StreamSummary) -> StreamFigures:
    row, last = summary.stream, summary.last_window
    firing = alerts.page(connection, stream=row.name, state=AlertState.FIRING, limit=MOST_FIRING)
    judged = precision.latest(connection, row, None if last is None else last.start_ms)
    foretold = forecast.of_stream(connection, row)
    return StreamFigures(summary, firing, judged, skew.of_stream(connection, row), foretold)
