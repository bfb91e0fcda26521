"""Which LFs and segments there are to ask for: of one stream, or of all."""

from __future__ import annotations

import sqlalchemy as sa

from tidegauge_service.store import layouts, schema


def lfs(connection: sa.Connection, stream_id: int | None) -> list[str]:
    """Return the names of the LFs of all deployments there were."""
    d = schema.deployment
    query = sa.select(d.c.probe_set).distinct()
    if stream_id is not None:
        query = query.where(d.c.stream_id == stream_id)
    ids = connection.execute(query).scalars().all()
    return sorted({name for one in ids for name in layouts.layout_of(connection, one).probes})


def has_segment(connection: sa.Connection, stream_id: int | None, segment: str) -> bool:
    """Return whether any evaluated window has the segment."""
    t = schema.series
    query = sa.select(t.c.id).where(t.c.segment == segment)
    if stream_id is not None:
        query = query.where(t.c.stream_id == stream_id)
    return connection.execute(query.limit(1)).one_or_none() is not None
