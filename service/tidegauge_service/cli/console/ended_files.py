"""What a change needs to take effect on a stream whose files were read to their end."""

from __future__ import annotations

from tidegauge_service.store import streams
from tidegauge_service.store.engine import Database
from tidegauge_service.store.streams import StreamRow


def ended_files(database: Database, stream: StreamRow) -> str:
    """Say that no batch will come by itself; empty for a stream that is still read."""
    with database.read() as connection:
        kind = streams.source_kind(connection, stream.id)
        found = streams.partitions(connection, stream.id)
    if kind != "file" or not found or not all(p.drained for p in found):
        return ""
    return (
        "The stream's files were read to their end: to count records that you add later, restart "
        "`tidegauge run`, or run it with --drain"
    )
