"""Which windows can have been seen whole: the volume of others says nothing."""

from __future__ import annotations

import sqlalchemy as sa

from tidegauge_service.store import streams
from tidegauge_service.store.streams import CUT, EVALUATED, StreamRow


def is_whole(connection: sa.Connection, stream: StreamRow, start: int) -> bool:
    """Whether all records of the next window to evaluate can have been seen.

    Not in the stream's first, which may have begun before it; and not in one that was closed
    because its source had ended, which may go on.
    """
    if streams.cursor(connection, stream.id, EVALUATED) is None:
        return False
    return streams.cursor(connection, stream.id, CUT) != start + stream.window_ms
