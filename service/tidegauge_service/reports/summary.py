"""What a run found, as plain data: the summary of ``replay`` and ``demo --once``."""

from __future__ import annotations

from typing import Any

from tidegauge_alerts.incidents.incident import incidents_of
from tidegauge_alerts.messages import phrases
from tidegauge_alerts.model import Alert
from tidegauge_probes.findings import Blindness
from tidegauge_service.store.alerting import alerts, incident_fields, incidents
from tidegauge_service.store.alerting.alert_fields import fields_of
from tidegauge_service.store.engine import Connection
from tidegauge_service.store.streams import StreamRow
from tidegauge_service.store.windows import comparisons, queries

ALERTS_PER_PAGE = 1_000


def all_alerts(connection: Connection, stream: str) -> list[Alert]:
    """Return every alert of a stream, oldest first."""
    found: list[Alert] = []
    after = None
    while page := alerts.page(connection, stream=stream, limit=ALERTS_PER_PAGE, after=after):
        found += page
        after = (page[-1].opened_window_ms, page[-1].id)
    return found[::-1]


def summarise(connection: Connection, stream: StreamRow, seconds: float) -> dict[str, Any]:
    """Return counts, alerts and candidates of a stream as JSON-ready data."""
    summary = queries.summary(connection, stream)
    found = all_alerts(connection, stream.name)
    history = incidents.history_of_stream(connection, stream.id)
    each = [incident_fields.fields_of(one, history) for one in incidents_of(found)]
    return {
        "stream": stream.name,
        "records": summary.records,
        "windows": summary.windows,
        "compared": comparisons.compared(connection, stream),
        "late": summary.late,
        "dead_letters": sum(summary.dead_letters.values()),
        "dead_letter_reasons": summary.dead_letters,
        "alerts": [fields_of(alert) for alert in found],
        "incidents": each,
        "messages": sum(one["messages"] for one in each),
        "candidates": sum(summary.candidates.values()),
        "blind": None if summary.blind is None else [_blind(one) for one in summary.blind],
        "seconds": round(seconds, 3),
        "records_per_second": round(summary.records / seconds) if seconds else 0,
    }


def _blind(found: Blindness) -> dict[str, Any]:
    """Return one thing that the stream cannot see, as the API returns it."""
    [text] = phrases.blind([found])
    return {"cause": found.cause, "probe": found.probe, "share": found.share, "text": text}
