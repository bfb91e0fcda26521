"""Names of alerts and incidents: hashes of what they are about, the same in every process.

An identity is derived, never drawn: whoever evaluates a window again, after a crash or in a
replay, gives the same alerts the same names.
"""

from __future__ import annotations

import hashlib
import json

from tidegauge_probes.findings import SeriesKey


def digest(*parts: str | int) -> str:
    """Return 24 hex digits (96 bits) that stand for *parts*, in this order.

    JSON keeps the parts apart whatever they contain: ("a", "bc") and ("ab", "c") differ.
    """
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=12).hexdigest()


def fingerprint(stream: str, key: SeriesKey, rule: str = "") -> str:
    """Return the fingerprint of one series' alerts of a rule: as in Alertmanager, without time."""
    parts = (stream, key.series, key.segment, key.probe, key.other, key.label)
    return digest(*parts, rule) if rule else digest(*parts)


def occurrence(fingerprint: str, opened_window_ms: int) -> str:
    """Return an alert's id: a series that shifts again after a resolve is another alert."""
    return f"{fingerprint}-{opened_window_ms}"


def incident_of(fingerprint: str, window_start_ms: int) -> str:
    """Return the incident that a series' alert begins in a window."""
    return digest("incident", fingerprint, window_start_ms)
