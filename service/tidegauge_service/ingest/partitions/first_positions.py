"""Where partitions that the database does not know yet start."""

from __future__ import annotations

from tidegauge_service.ingest.sources.files.registration import number_files
from tidegauge_service.ingest.sources.files.source import FileReader
from tidegauge_service.ingest.sources.source import Retained, Source
from tidegauge_service.store import streams
from tidegauge_service.store.ingest import decisions
from tidegauge_service.store.scope import StreamScope


def seed(scope: StreamScope, source: Source) -> None:
    """Make the rows of partitions that have none.

    The first time they start where the source says. A partition that a topic has grown by later
    is read from its beginning, whatever ``start`` says: nobody has said of its inputs that they
    shall not be counted.
    """
    database, stream = scope.database, scope.stream
    if isinstance(source, FileReader):
        number_files(scope, source)
        return
    starts = source.beginnings()
    identity = source.identity() if isinstance(source, Retained) else None
    with database.read() as connection:
        rows = streams.partitions(connection, stream.id)
    known = {row.partition for row in rows if row.partition >= 0}  # of this source
    new = sorted(starts.keys() - known)
    grown: dict[int, int] = {}
    if new and known and isinstance(source, Retained):
        grown = {p: first for p, (first, _) in source.held(new).items()}
    now_ms = scope.clock()
    with database.write() as connection:
        streams.seed_partitions(connection, stream.id, starts | grown, now_ms, topic_id=identity)
        decisions.record_added(connection, stream, grown, identity, now_ms)
