"""Say so when the watermark stands still: then no window closes, and drift is not watched.

It stands still by design while nothing comes (``idleness``); that is told of only when it
lasts where it should not.
"""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from tidegauge_alerts.messages import notices
from tidegauge_service.clock import to_iso
from tidegauge_service.config.sources import KafkaSource, LogSource
from tidegauge_service.jobs.punctuality import Punctuality
from tidegauge_service.store import streams
from tidegauge_service.store.alerting.notice_state import NoticeState, Trouble
from tidegauge_service.store.ingest import arrivals
from tidegauge_service.store.ingest.arrivals import Arrivals
from tidegauge_service.store.scope import StreamScope
from tidegauge_service.store.streams import REPLAYED, PartitionRow

log = structlog.get_logger()

SETTLE_MS = 120_000
"""A process that has just started takes nothing for stale: it may be what has to read it."""


class WatermarkWatch:
    """Watches the watermark of one stream. Any number of processes may; one of them tells."""

    def __init__(self, scope: StreamScope) -> None:
        self._stream = scope.stream
        self._database = scope.database
        self._clock = scope.clock
        self._url = scope.url
        self._notice = NoticeState(scope.stream.id, Trouble.STALE, scope.receivers)
        self._after_ms = scope.config.alerts.stale_after
        self._live = isinstance(scope.config.source, KafkaSource | LogSource)
        self._since_ms = scope.clock()
        self._punctuality = Punctuality(scope)

    def tick(self) -> None:
        """Tell of a watermark that stands still, or that it moves again: once, in one commit.

        And of records that come too late, whatever the source.
        """
        self._punctuality.tick()
        if self._live:
            self._watch()

    def _watch(self) -> None:
        now = self._clock()
        with self._database.read() as connection:
            told = self._notice.since(connection)
            holder = holder_of(streams.partitions(connection, self._stream.id))
            heard = arrivals.of_stream(connection, self._stream.id)
        stale = (
            holder is not None
            and now - holder.moved_ms >= self._after_ms
            and not waits(holder, heard, now, self._after_ms)
        )
        if holder is not None and stale and told is None:
            if now - self._since_ms >= SETTLE_MS:
                self._tell(holder, heard, now)
        elif told is not None and not stale:
            self._untell(told, now)

    def _tell(self, holder: PartitionRow, heard: Arrivals, now: int) -> None:
        reached = to_iso(holder.watermark_ms)
        said = why(holder, heard, now)
        message = notices.watermark_stale(
            self._stream.name,
            holder.partition,
            said,
            watermark=reached,
            since_ms=holder.moved_ms,
            url=self._url,
        )
        with self._database.write() as connection:
            new = self._notice.change(connection, None, holder.moved_ms, message, now_ms=now)
        if new:
            log.error("watermark_stale", stream=self._stream.name, watermark=reached, why=said)

    def _untell(self, told: int, now: int) -> None:
        message = notices.watermark_moves(self._stream.name, since_ms=told, url=self._url)
        with self._database.write() as connection:
            self._notice.change(connection, told, None, message, now_ms=now)


def holder_of(partitions: Sequence[PartitionRow]) -> PartitionRow | None:
    """Return the partition that holds the watermark; None if nothing does.

    One that has none yet holds it more than any that has.
    """
    holding = [p for p in partitions if not p.drained]
    return min(
        holding,
        key=lambda p: (p.watermark_ms is not None, p.watermark_ms or 0, p.moved_ms),
        default=None,
    )


def waits(holder: PartitionRow, heard: Arrivals, now_ms: int, after_ms: int) -> bool:
    """Tell whether the watermark stands still because nothing comes, as it should (``idleness``).

    The holder's owner has just proved that it was read to its end; no inputs have come for a
    while without moving the watermark; and the baseline does not wait for records that should
    have come by now.
    """
    behind = holder.end_offset is None or holder.next_offset < holder.end_offset
    if behind or now_ms - holder.updated_ms >= SETTLE_MS:
        return False
    if heard.heard_ms is not None and heard.heard_ms - holder.moved_ms >= after_ms:
        return False
    until = heard.range_until_ms
    return until is None or not heard.before_range_end or now_ms - until < after_ms


def why(holder: PartitionRow, heard: Arrivals, now_ms: int) -> str:
    """Say what is known of a partition that stands still, and what to look at."""
    minutes = (now_ms - holder.moved_ms) // 60_000
    behind = None if holder.end_offset is None else holder.end_offset - holder.next_offset
    stands = f"it has not moved for {minutes} min, so no window closes"
    if heard.range_until_ms is not None and heard.before_range_end and behind == 0:
        newest, until = heard.newest_event_ms, to_iso(heard.range_until_ms)
        reached = (
            "no record has arrived" if newest is None else f"the newest is from {to_iso(newest)}"
        )
        return (
            f"{stands}: the baseline's range ends at {until}, and {reached}. Send the missing "
            "records, or choose another range"
        )
    if holder.partition < REPLAYED:
        return (
            f"{stands}: a file of history was not fully read. Run `tidegauge backfill` again "
            "with the same files, or with --abandon"
        )
    if behind:
        return f"{stands}; {behind} inputs are waiting. Check that a worker is running and owns it"
    return (
        f"{stands}. Check that a worker is running and owns it, and that the timestamps of its "
        "records advance"
    )
