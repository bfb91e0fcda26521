"""What is kept once for each baseline of a stream: the row of the baseline in use."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from tidegauge_service.store.streams import StreamRow


def row_of(connection: sa.Connection, table: sa.Table, stream: StreamRow) -> sa.Row[Any] | None:
    """Return the row of *table* for the baseline that *stream* uses; None if there is none."""
    of_stream = table.c.stream_id == stream.id
    query = sa.select(table).where(of_stream, table.c.baseline == stream.baseline)
    return connection.execute(query).first()
