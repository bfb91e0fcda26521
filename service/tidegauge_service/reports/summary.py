"""What a run found, as plain data: the summary of ``replay`` and ``demo --once``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tidegauge_alerts.model import Alert
from tidegauge_service.clock import to_iso
from tidegauge_service.store.alerting import alerts
from tidegauge_service.store.engine import Database
from tidegauge_service.store.streams import StreamRow
from tidegauge_service.store.windows import queries

ALERTS_PER_PAGE = 1_000


def all_alerts(database: Database, stream: str) -> list[Alert]:
    """Return every alert of a stream, oldest first."""
    found: list[Alert] = []
    after = None
    while page := alerts.page(database, stream=stream, limit=ALERTS_PER_PAGE, after=after):
        found += page
        after = (page[-1].opened_window_ms, page[-1].id)
    return found[::-1]


def summarise(database: Database, stream: StreamRow, seconds: float) -> dict[str, Any]:
    """Return counts, alerts and candidates of a stream as JSON-ready data."""
    summary = queries.summary(database, stream)
    return {
        "stream": stream.name,
        "records": summary.records,
        "windows": summary.windows,
        "late": summary.late,
        "dead_letters": sum(summary.dead_letters.values()),
        "dead_letter_reasons": summary.dead_letters,
        "alerts": [alert_row(alert) for alert in all_alerts(database, stream.name)],
        "candidates": sum(summary.candidates.values()),
        "seconds": round(seconds, 3),
        "records_per_second": round(summary.records / seconds) if seconds else 0,
    }


def alert_row(alert: Alert) -> dict[str, Any]:
    """Return one alert as JSON-ready data."""
    return {
        "id": alert.id,
        "series": str(alert.key.series),
        "probe": alert.key.probe,
        "other": alert.key.other,
        "label": alert.key.label,
        "segment": alert.key.segment,
        "rule": alert.rule,
        "cause": asdict(alert.cause) if alert.cause else None,
        "kind": str(alert.kind),
        "severity": str(alert.severity),
        "state": str(alert.state),
        "opened_window": to_iso(alert.opened_window_ms),
        "resolved_window": _iso(alert.resolved_window_ms),
        "observed": alert.observed,
        "expected": alert.expected,
        "over_windows": alert.scale,
        "share": alert.observed if alert.share is None else alert.share,
        "effect": alert.effect,
        "n": alert.n,
    }


def _iso(ms: int | None) -> str | None:
    return None if ms is None else to_iso(ms)
