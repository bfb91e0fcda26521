"""An alert as plain data: the one form in which the API and the reports give it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tidegauge_alerts.model import Alert
from tidegauge_service.clock import to_iso

_SAME = (
    "id",
    "fingerprint",
    "incident",
    "stream",
    "kind",
    "severity",
    "state",
    "reopened",
    "observed",
    "expected",
    "low",
    "high",
    "effect",
    "p_value",
    "n",
    "scale",
    "share",
    "probe_set",
    "baseline",
    "rule",
)
"""Fields returned as stored. Fields that only the alert lifecycle needs are left out."""

_WINDOWS = ("opened_window", "fired_window", "resolved_window", "last_window")
"""Fields in epoch ms (``…_ms``) that are returned as ISO-8601."""


def fields_of(alert: Alert) -> dict[str, Any]:
    """Return an alert as JSON-ready data: its series, its windows, its figures, its lineage."""
    return {
        **{name: getattr(alert, name) for name in _SAME},
        **asdict(alert.key),
        **{name: to_iso(getattr(alert, f"{name}_ms")) for name in _WINDOWS},
        "share_expected": alert.due,
        "cause": None if alert.cause is None else asdict(alert.cause),
        "copies": None if alert.copies is None else asdict(alert.copies),
    }
