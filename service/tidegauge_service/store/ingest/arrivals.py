"""What a stream has heard so far, over all its partitions: what silence is measured by."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from tidegauge_service.store import schema
from tidegauge_service.store.streams import REPLAYED, Role


@dataclass(frozen=True, slots=True)
class Arrivals:
    """The newest record of a stream, and when inputs last came. All are epoch milliseconds.

    ``range_until_ms``: end of the range that the baseline is still to be fitted from, if it is.
    """

    newest_event_ms: int | None
    heard_ms: int | None
    """By the wall clock, over all partitions."""
    range_until_ms: int | None

    @property
    def before_range_end(self) -> bool:
        """Whether the baseline waits for records that have not come yet."""
        if self.range_until_ms is None:
            return False
        return self.newest_event_ms is None or self.newest_event_ms < self.range_until_ms


def of_stream(connection: sa.Connection, stream_id: int) -> Arrivals:
    """Read what the stream has heard; replayed dead letters are no arrivals."""
    p, d = schema.stream_partition, schema.deployment
    heard = sa.select(sa.func.max(p.c.latest_event_ms), sa.func.max(p.c.heard_ms)).where(
        p.c.stream_id == stream_id, p.c.partition != REPLAYED
    )
    unfitted = (d.c.stream_id == stream_id, d.c.until_ms.is_(None), d.c.baseline.is_(None))
    until = sa.select(sa.func.max(d.c.range_until_ms)).where(*unfitted, d.c.role == Role.LIVE)
    newest, heard_ms = connection.execute(heard).one()
    return Arrivals(newest, heard_ms, connection.execute(until).scalar())
