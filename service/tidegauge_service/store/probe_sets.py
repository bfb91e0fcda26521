"""ProbeSets that were deployed: their names, and what stands for them."""

from __future__ import annotations

import json
from dataclasses import asdict

import sqlalchemy as sa

from tidegauge_probes.labeling.contents import Contents, read_contents
from tidegauge_probes.labeling.probe_set import ProbeSet
from tidegauge_service.store import schema, upsert


def keep_probe_set(connection: sa.Connection, probe_set: ProbeSet, now_ms: int) -> None:
    """Keep what stands for a ProbeSet; equal content is kept once."""
    row = {
        "id": probe_set.id,
        "origin": probe_set.origin,
        "layout": json.dumps(asdict(probe_set.layout)),
        "contents": json.dumps(probe_set.contents.document()),
        "created_ms": now_ms,
    }
    upsert.keep(connection, schema.probe_set, [row])


def contents_of(connection: sa.Connection, probe_set: str) -> Contents | None:
    """Return what stands for a ProbeSet, if it was ever deployed here."""
    t = schema.probe_set
    query = sa.select(t.c.contents).where(t.c.id == probe_set)
    text = connection.execute(query).scalar_one_or_none()
    return None if text is None else read_contents(json.loads(text))
