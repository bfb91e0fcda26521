"""Whether the cycles of a stream that is read in UTC follow a clock that was changed."""

from __future__ import annotations

import json

import sqlalchemy as sa

from tidegauge_probes.drift.civil_time import UTC, ClockChange
from tidegauge_service.store import schema
from tidegauge_service.store.streams import StreamRow


def followed_clock(connection: sa.Connection, stream: StreamRow) -> ClockChange | None:
    """Return the clock change that the cycles of a stream read in UTC were seen to follow."""
    if stream.timezone != UTC or stream.baseline is None:
        return None
    t = schema.baseline
    query = sa.select(t.c.clock_change).where(t.c.id == stream.baseline)
    found = connection.execute(query).scalar_one_or_none()
    return None if found is None else ClockChange(**json.loads(found))
