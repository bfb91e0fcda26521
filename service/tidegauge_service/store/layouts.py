"""The names and the order that a ProbeSet's counts are over."""

from __future__ import annotations

import json

import sqlalchemy as sa

from tidegauge_probes.model import Layout
from tidegauge_service.store import schema


def layout_of(connection: sa.Connection, probe_set: str) -> Layout:
    """Return the names that a ProbeSet's counts are over."""
    t = schema.probe_set
    text = connection.execute(sa.select(t.c.layout).where(t.c.id == probe_set)).scalar_one()
    kept = json.loads(text)
    labels = tuple(map(tuple, kept["labels"]))
    return Layout(tuple(kept["probes"]), tuple(kept["classes"]), labels)
