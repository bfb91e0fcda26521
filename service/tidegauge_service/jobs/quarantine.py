"""Stop calling an LF that did not come back, and say so to the stream's receivers: one commit."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from tidegauge_alerts.messages import notices
from tidegauge_service.store.alerting import outbox
from tidegauge_service.store.engine import Database
from tidegauge_service.store.ingest import quarantine
from tidegauge_service.store.streams import StreamRow

log = structlog.get_logger()


def quarantine_lf(
    database: Database,
    stream: StreamRow,
    place: int,
    probe: str,
    reason: str,
    *,
    receivers: Sequence[str],
    now_ms: int,
    url: str = "",
) -> None:
    """Record the strike and the messages that tell of it. Raises StoreError, with neither done."""
    with database.write() as connection:
        strikes = quarantine.strike(connection, stream, place, probe, reason, now_ms=now_ms)
        if strikes is None:
            return  # another worker hung in it, too
        message = notices.quarantined(
            stream.name, probe, reason, probe_set=stream.probe_set, strikes=strikes, url=url
        )
        outbox.enqueue(connection, stream.id, receivers, message, now_ms=now_ms)
    log.error("lf_quarantined", stream=stream.name, lf=probe, strikes=strikes, reason=reason)


def release_lf(
    database: Database, stream: StreamRow, probe: str, *, now_ms: int, url: str = ""
) -> None:
    """Let LFs of that name be called again, of the live ProbeSet, a shadow and those of before.

    Those who heard of the quarantine hear of it.
    """
    with database.write() as connection:
        found = quarantine.release(connection, stream, probe, now_ms=now_ms)
        for one in found:
            said = notices.quarantined(
                stream.name, probe, one.reason, probe_set=one.probe_set, strikes=one.strikes
            )
            message = notices.released(
                stream.name, probe, probe_set=one.probe_set, strikes=one.strikes, url=url
            )
            receivers = outbox.receivers_of(connection, stream.id, said.dedup_key)
            outbox.enqueue(connection, stream.id, receivers, message, now_ms=now_ms)
