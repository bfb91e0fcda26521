"""The transaction of a batch, as the worker and the replay of dead letters make it."""

from __future__ import annotations

from collections.abc import Sequence

from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import commit as store
from tidegauge_service.store.ingest.commit import PartitionBatch
from tidegauge_service.store.streams import StreamRow


def commit(
    database: Database,
    stream: StreamRow,
    batches: Sequence[PartitionBatch],
    *,
    owner: str,
    now_ms: int,
) -> int | None:
    """Commit what was counted; return the stream's closed-through.

    Raises Fenced and Superseded with nothing written. After any other error the batch may have
    been committed or not: only the database can tell.
    """
    with database.write() as connection:
        return store.commit(connection, stream, batches, owner=owner, now_ms=now_ms)
