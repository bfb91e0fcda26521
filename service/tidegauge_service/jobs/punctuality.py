"""Say so when most records come too late: nothing fails then, and no window counts them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from tidegauge_alerts.messages import notices
from tidegauge_service.clock import to_iso
from tidegauge_service.store import streams
from tidegauge_service.store.alerting.notice_state import NoticeState, Trouble
from tidegauge_service.store.scope import StreamScope
from tidegauge_service.store.streams import CLOSED, PartitionRow

log = structlog.get_logger()

ENOUGH = 100
"""Records that a share is judged over, at least."""

MOST, FEW = 0.5, 0.1
"""Above this share of late records people are told; below the second it is over."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """Records of a stream so far, and those of them that came too late."""

    records: int
    late: int

    def since(self, before: Arrived) -> Arrived:
        """Return what has come since *before*."""
        return Arrived(self.records - before.records, self.late - before.late)


def arrived(partitions: Sequence[PartitionRow]) -> Arrived:
    """Add up the partitions."""
    return Arrived(sum(p.records for p in partitions), sum(p.late for p in partitions))


def mostly_late(found: Arrived) -> bool | None:
    """Tell whether most records came too late; None: too few to tell, or something between.

    >>> mostly_late(Arrived(400, 400)), mostly_late(Arrived(400, 3)), mostly_late(Arrived(99, 99))
    (True, False, None)
    """
    if found.records < ENOUGH:
        return None
    if found.late > MOST * found.records:
        return True
    return False if found.late < FEW * found.records else None


class Punctuality:
    """Watches the share of late records of one stream. Any number of processes may; one tells."""

    def __init__(self, scope: StreamScope) -> None:
        self._stream = scope.stream
        self._source = scope.config.source.kind
        self._database = scope.database
        self._clock = scope.clock
        self._url = scope.url
        self._notice = NoticeState(scope.stream.id, Trouble.LATE, scope.receivers)
        self._before: Arrived | None = None
        with scope.database.read() as connection:
            self._opened = arrived(streams.partitions(connection, scope.stream.id))

    def tick(self) -> None:
        """Judge what has come since the last time, if that is enough."""
        with self._database.read() as connection:
            now = arrived(streams.partitions(connection, self._stream.id))
            told = self._notice.since(connection)
            closed = streams.cursor(connection, self._stream.id, CLOSED)
        if self._before is None:
            self._before = now if told is not None else self._first(now)
        found = now.since(self._before)
        verdict = mostly_late(found)
        if found.records >= ENOUGH:
            self._before = now
        if verdict is True and told is None:
            self._tell(found, closed)
        elif verdict is False and told is not None:
            self._untell(told)

    def _first(self, now: Arrived) -> Arrived:
        """Return what the first look compares with: what this process has brought, if enough.

        A file of old records is a small part of a stream's history, and all of a drain's.
        """
        enough = now.since(self._opened).records >= ENOUGH
        return self._opened if enough else Arrived(0, 0)

    def _tell(self, found: Arrived, closed: int | None) -> None:
        now = self._clock()
        through, advice = to_iso(closed), notices.late_advice(self._source)
        message = notices.mostly_late(
            self._stream.name,
            found.late,
            found.records,
            closed=through,
            advice=advice,
            since_ms=now,
            url=self._url,
        )
        with self._database.write() as connection:
            new = self._notice.change(connection, None, now, message, now_ms=now)
        if new:
            log.error(
                "mostly_late",
                stream=self._stream.name,
                late=found.late,
                records=found.records,
                closed_through=through,
                advice=advice,
            )

    def _untell(self, told: int) -> None:
        now = self._clock()
        message = notices.punctual(self._stream.name, since_ms=told, url=self._url)
        with self._database.write() as connection:
            self._notice.change(connection, told, None, message, now_ms=now)
